// Line breaks that only keep a paragraph's lines short: found, taken out, and put back into what
// became of the paragraph. Rule: when in doubt a line is a line of its own; and as many breaks come
// back as were taken out, byte for byte, wherever the text has room for them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/protected_spans.h"

namespace nativo::text {

/// Bytes [begin, end) of a text: a line break with the white space and quote marks around it.
struct LineWrap {
  std::size_t begin;
  std::size_t end;
  bool operator==(const LineWrap&) const = default;
};

/// The wraps of `text`, in order. Lines that follow each other are a wrapped paragraph when
///   - all have the same quote marks ("> ") or none;
///   - none is empty, a heading, a row of a table or part of a block of code, only the first has a
///     list marker, and none but the last ends in a colon, a hyphen or a hard break;
///   - no line but the last has room for the next one's first word, as far as the longest goes,
///     which has 45 to 120 characters (60 when there are two lines only);
///   - one at least goes on with a lower-case letter where the line before ends no sentence.
/// No wrap lies in one of `spans` (from find_spans).
[[nodiscard]] std::vector<LineWrap> find_line_wraps(std::string_view text,
                                                    std::span<const Span> spans);

/// A text whose wraps are single spaces, and what they were.
struct Unwrapped {
  struct Break {
    std::string bytes;
    double place;  ///< share of its line's characters that stand before it
  };
  struct Line {
    std::size_t number;  ///< of the lines of `text`, from 0
    std::vector<Break> breaks;
  };
  std::string text;
  std::vector<Line> lines;  ///< those that had wraps, in order
};

[[nodiscard]] Unwrapped unwrap_lines(std::string_view text, std::span<const Span> spans);

/// `result`, made of `source.text` line by line, with the wraps in the same lines again: each takes
/// the place of the space that is nearest to where it stood, outside protected spans and not where
/// the rest would look like a list item or a heading. Where there are too few such spaces, the last
/// wraps are left out. `result` as it is when it has not as many lines, or when a break would
/// damage a protected span after all.
[[nodiscard]] std::string rewrap_lines(std::string_view result, const Unwrapped& source);

}  // namespace nativo::text
