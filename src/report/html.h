// Words of HTML: escaping, numbers as people read them, small drawings.
// Rule: text from a file reaches the page through escape() or script_json(), never raw.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"

namespace nativo::report {

/// `text` for element content and quoted attributes. Control characters (but newline and tab),
/// bidirectional controls and invalid UTF-8 become visible.
[[nodiscard]] std::string escape(std::string_view text);

/// `value` for the inside of a <script type="application/json">: no '<', '>' or '&' is left.
[[nodiscard]] std::string script_json(const Json& value);

/// What a Content-Security-Policy calls an inline script: 'sha256-BASE64'.
[[nodiscard]] std::string script_hash(std::string_view script);

/// `page` with each {{name}} replaced by what `fill` gives for it; what is put in is not read
/// again.
template <class Fill>
[[nodiscard]] std::string fill_template(std::string_view page, const Fill& fill) {
  std::string out;
  for (;;) {
    const std::size_t open = page.find("{{");
    const std::size_t close = open == page.npos ? page.npos : page.find("}}", open);
    if (close == page.npos) break;
    out += page.substr(0, open);
    out += fill(page.substr(open + 2, close - open - 2));
    page.remove_prefix(close + 2);
  }
  return out.append(page);
}

/// "12,345"
[[nodiscard]] std::string count_text(std::uint64_t count);
/// "1.23 M", "45.6 k", "789": three significant digits.
[[nodiscard]] std::string short_number(double value);
/// Four significant digits, without an exponent where that reads well.
[[nodiscard]] std::string plain_number(double value);
/// "too_short" -> "too short"; not yet escaped.
[[nodiscard]] std::string words_of(std::string_view name);

}  // namespace nativo::report
