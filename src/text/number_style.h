// Numbers and dates of an English text as Italian and most of Europe write them.
#pragma once

#include <string>
#include <string_view>

namespace nativo::text {

struct NumberStyle {
  bool decimal_comma = false;  ///< 1,234.56 -> 1.234,56; 3.5 -> 3,5
  bool us_dates = false;       ///< 03/25/2024 -> 25/03/2024
};

/// The number `bytes` (a span of kind kNumber) in `style`; equal to `bytes` when nothing is to
/// change: times, versions, addresses (two points or more), sections ("chapter 2.1"), versions by
/// the name before them ("Python 3.10"). `before` is the text before it, as far as its line goes.
[[nodiscard]] std::string localize_number(std::string_view bytes, std::string_view before,
                                          const NumberStyle& style);

}  // namespace nativo::text
