// Finds what a translation must not touch (code, formulas, addresses, numbers, placeholders,
// markup) and proves, from a source and its translation alone, that it was not touched. Not here:
// how an engine hides the spans from itself (translate/masking.h).
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nativo::text {

enum class SpanKind {
  kFrontMatter,  ///< --- to --- at the very beginning of a text
  kFencedCode,   ///< ``` or ~~~ to its closing fence, or to the end of the text
  kCodeLines,    ///< whole lines that are code without a fence
  kInlineCode,   ///< `..`, ``..``
  kMath,         ///< $..$, $$..$$, \(..\), \[..\], \begin{x}..\end{x}, \alpha; prices ($5) are not
  kUrl,          ///< scheme://, mailto:, www.
  kEmail,        ///< a.b@c.org
  kPlaceholder,  ///< {name}, {{name}}, {% if %}, ${x}, $x, %s, %1$s, %(name)d, %{x}, %NAME%
  kMessageFormat,  ///< the marks of an ICU message: "{n, plural, one {", "} other {", "}}"
  kTag,            ///< <b>, </p>, <!-- -->, [url=x], <<48/2=24>>; <code> and its like with content
  kEntity,         ///< &amp; &#39;
  kMarkup,         ///< Markdown: "[" and "](url)", "**", "_", [^1], [x], "[id]: url"
  kLiteral,        ///< JSON or Python values: {"a": 1}, [1, 2, 3], ['x', 'y']
  kPath,           ///< /usr/bin, ./a/b.txt, a/b/c.txt, C:\x\y, *.txt
  kIdentifier,     ///< snake_case, camelCase, call(x), @name, --flag, C++, #12, H2O, GPT-4, v1.2.3
  kEscape,         ///< \n, \", \u00e8, \_ as two or more characters
  kMnemonic,       ///< the & of &File, the _ of _File
  kSymbol,         ///< emoji (whole sequences), arrows, dingbats, mathematical operators
  kTerm,           ///< a term of a glossary
  kNumber,         ///< 12, 1,000, 37.5, 25%, 10:30, 2/3; currency signs stay outside
  kUnit,           ///< kg, km/h, °C, MB behind a number
};
inline constexpr std::size_t kSpanKinds = static_cast<std::size_t>(SpanKind::kUnit) + 1;

/// A name for messages: "fenced_code", "number", ...
[[nodiscard]] std::string_view span_kind_name(SpanKind kind);

/// Bytes [begin, end) of a text.
struct Span {
  SpanKind kind;
  std::size_t begin;
  std::size_t end;
  bool operator==(const Span&) const = default;
};

/// A block stands on lines of its own and keeps its place among the blocks.
[[nodiscard]] inline bool is_block(SpanKind kind) {
  return kind == SpanKind::kFrontMatter || kind == SpanKind::kFencedCode ||
         kind == SpanKind::kCodeLines;
}

/// End of the term that begins at byte `i` of a text, or npos. Asked at every start of a word that
/// is not inside another span.
using TermAt = std::function<std::size_t(std::string_view text, std::size_t i)>;

/// All protected spans of `text`, in order, not overlapping, none empty. Every '_' is inside one.
/// Works on any bytes; linear in practice (look-ahead is bounded).
[[nodiscard]] std::vector<Span> find_spans(std::string_view text, const TermAt& term_at = {});

/// What a mark does: the verifier holds opening and closing marks to their nesting.
enum class MarkRole { kAlone, kOpens, kCloses, kToggles };
/// Role of the mark with these bytes, and in `pair` what both ends of a pair share ("b", "[",
/// "**"). Spans that are no marks stand alone.
[[nodiscard]] MarkRole mark_role(SpanKind kind, std::string_view bytes, std::string_view& pair);

/// Proves that `result` has exactly the protected spans of `source`: as a multiset, byte for byte
/// (word order may change in translation); blocks and the marks of message formats also in their
/// order; marks that open and close (tags, links, emphasis) well nested if they are so in the
/// source. Terms and units must not be lost, but the translation may have more of them. Returns the
/// number of spans; a Rejection "protected_span_lost", "protected_span_added" or
/// "protected_span_moved" with the span's bytes as value.
[[nodiscard]] Result<std::size_t> verify_protected(std::string_view source,
                                                   std::string_view result);

/// The same with the spans that `source` was cut by, and a way to find terms in the result.
[[nodiscard]] Result<std::size_t> verify_protected(std::string_view source,
                                                   std::span<const Span> spans,
                                                   std::string_view result,
                                                   const TermAt& term_in_result = {});

}  // namespace nativo::text
