// Finds what a translation must not touch (code, formulas, addresses, numbers, placeholders) and
// proves, from a source and its translation alone, that it was not touched.
// Not here: how an engine hides the spans from itself (translate/masking.h).
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nativo::text {

enum class SpanKind {
  kFencedCode,  ///< ``` or ~~~ to its closing fence, or to the end of the text
  kCodeLines,   ///< whole lines that are code without a fence
  kInlineCode,  ///< `..`, ``..``
  kMath,        ///< $..$, $$..$$, \(..\), \[..\], \begin{x}..\end{x}; prices ($5) are not math
  kUrl,         ///< http://, https://, ftp://, www.
  kEmail,
  kPlaceholder,  ///< {name}, {{name}}, ${x}, %s, %1$s, %(name)d, <<48/2=24>>
  kTag,          ///< <b>, </p>, <br/>, <!-- -->
  kLiteral,      ///< JSON or Python values: {"a": 1}, [1, 2, 3], ['x', 'y']
  kPath,         ///< /usr/bin, ./a/b.txt, a/b/c.txt, notes.txt
  kIdentifier,   ///< snake_case, camelCase, call(x), @name, words with digits (H2O, mp3)
  kNumber,       ///< 12, 1,000, 37.5, 25%, 10:30, 2/3; units and currency signs stay outside
};

/// A name for messages: "fenced_code", "number", ...
[[nodiscard]] std::string_view span_kind_name(SpanKind kind);

/// Bytes [begin, end) of a text.
struct Span {
  SpanKind kind;
  std::size_t begin;
  std::size_t end;
  bool operator==(const Span&) const = default;
};

/// All protected spans of `text`, in order, not overlapping, none empty. Works on any bytes; linear
/// in practice (look-ahead is bounded).
[[nodiscard]] std::vector<Span> find_spans(std::string_view text);

/// Proves that `result` has exactly the protected spans of `source`: as a multiset, byte for byte
/// (word order may change in translation), and code blocks and code lines also in their order.
/// Returns the number of spans; a Rejection "protected_span_lost", "protected_span_added" or
/// "protected_span_moved" with the span's bytes as value.
[[nodiscard]] Result<std::size_t> verify_protected(std::string_view source,
                                                   std::string_view result);

}  // namespace nativo::text
