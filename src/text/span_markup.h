// HTML and Markdown structure. Internal to find_spans (text/protected_spans.h).
#pragma once

#include <cstddef>
#include <string_view>

#include "text/span_chars.h"

namespace nativo::text {

/// End of the front matter (--- .. ---) that the text begins with, or npos.
[[nodiscard]] std::size_t match_front_matter(std::string_view text);

/// End of the fenced block whose opening line starts at `i`, or npos; an open one ends the text.
[[nodiscard]] std::size_t match_fence(std::string_view text, std::size_t i);

/// End of the inline code that begins with the backtick at `i`, or npos.
[[nodiscard]] std::size_t match_inline_code(std::string_view text, std::size_t i);

/// End of the tag, comment, processing instruction, calculator note (<<48/2=24>>) or <address> that
/// begins with the '<' at `i`, or npos. <code>, <pre>, <script>, <style>, <kbd>, <samp>, <svg> and
/// <math> are taken with their content.
[[nodiscard]] std::size_t match_tag(std::string_view text, std::size_t i, FarSearch& far);

/// Names of HTML elements that prose could not mean, in any case; others need an attribute, a
/// hyphen or a slash.
[[nodiscard]] bool is_element(std::string_view name);

/// End of the entity (&amp; &#39; &#x27;) that begins with the '&' at `i`, or npos.
[[nodiscard]] std::size_t match_entity(std::string_view text, std::size_t i);

/// A mark that opens something, and the mark that closes it. Equal ends: `open` stands alone.
struct MarkPair {
  std::size_t open_end = kNoSpan;  ///< npos: no mark here
  std::size_t close_begin = 0;
  std::size_t close_end = 0;
};

/// [text](address "title"), ![..](..), [text][id] at '[' or "![": the brackets with the address are
/// the marks. [^1], [ ], [x] and, at the start of a line, "[id]: address" stand alone.
[[nodiscard]] MarkPair match_link(std::string_view text, std::size_t i);

/// End of the BBCode tag ([b], [url=..], [/url]) that begins with the '[' at `i`, or npos.
[[nodiscard]] std::size_t match_bbcode(std::string_view text, std::size_t i, FarSearch& far);

/// *..*, **..**, ***..***, _.._, __..__, ~~..~~ around words.
[[nodiscard]] MarkPair match_emphasis(std::string_view text, std::size_t i);

}  // namespace nativo::text
