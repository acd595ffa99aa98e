// Small words about text that have no home in <string>: trimming, splitting, showing untrusted
// text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace nativo {

/// `text` without ASCII white space at both ends.
[[nodiscard]] std::string_view trim(std::string_view text);

/// Pieces between `separator`s; "a,,b" gives three pieces, "" gives one empty piece.
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);

/// Replaces every occurrence of `from` (not empty) by `to`.
[[nodiscard]] std::string replace_all(std::string_view text, std::string_view from,
                                      std::string_view to);

/// The candidate nearest to `word` by edit distance, or "" when none is near enough to suggest.
[[nodiscard]] std::string nearest(std::string_view word,
                                  const std::vector<std::string>& candidates);

/// Makes untrusted text safe for a terminal: control characters (but \n and \t), escape sequences,
/// bidirectional controls and invalid UTF-8 become visible replacements.
[[nodiscard]] std::string printable(std::string_view text);

/// True when `bytes` is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
[[nodiscard]] bool is_valid_utf8(std::string_view bytes);

/// Number of Unicode code points in well-formed UTF-8.
[[nodiscard]] std::size_t count_code_points(std::string_view text);

/// The longest prefix of `text` of at most `max_bytes` that ends between code points.
[[nodiscard]] std::string_view utf8_prefix(std::string_view text, std::size_t max_bytes);

/// "1.5 GiB", "12.0 MiB", "640 B".
[[nodiscard]] std::string human_bytes(double bytes);

/// "1h 02m", "3m 20s", "4.2s".
[[nodiscard]] std::string human_duration(double seconds);

}  // namespace nativo
