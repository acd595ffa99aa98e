// Numbers as values of their digits, so that 3,500.20 and 3.500,20 are the same: for the check that
// no number was lost.
#pragma once

#include <cstddef>
#include <string_view>

namespace nativo::translate {

/// Numbers of `source` (digits, grouped and with a decimal mark in any convention) that
/// `translation` has in no way of writing: not with other marks, not in parts (10:30 and 10.30),
/// not as a word of `to` (Italian and English, up to twenty and the round ones), not as '80 for
/// 1980, nor an hour in 24 for one in 12. Each number of the translation answers for one of the
/// source.
[[nodiscard]] std::size_t count_lost_numbers(std::string_view source, std::string_view translation,
                                             std::string_view to);

}  // namespace nativo::translate
