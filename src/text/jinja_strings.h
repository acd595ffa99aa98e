// Python's operations on strings, keeping track of which bytes came from a message. Positions are
// code points, as Python counts.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja_value.h"

namespace nativo::text::jinja {

/// Collects text with its spans. Counts what it holds against the heap's memory.
class TextBuilder {
 public:
  explicit TextBuilder(Heap& heap) : heap_(heap) {}
  void append(std::string_view plain);
  void append(const String& text) { append(text, 0, text.bytes.size()); }
  /// Bytes [begin, end) of `text`.
  void append(const String& text, std::size_t begin, std::size_t end);
  /// `bytes` that stand for a piece of `owner`'s.
  void append_owned(std::string_view bytes, int owner);
  [[nodiscard]] std::size_t size() const { return text_.bytes.size(); }
  [[nodiscard]] String take() { return std::move(text_); }

 private:
  Heap& heap_;
  String text_;
};

/// Bytes [begin, end) of `text`.
[[nodiscard]] String substring(const String& text, std::size_t begin, std::size_t end);

/// `f` of each stretch of one owner: for operations that work letter by letter.
template <class F>
String map_pieces(Heap& heap, const String& text, F&& f) {
  TextBuilder out(heap);
  std::size_t at = 0;
  const std::string_view bytes = text.bytes;
  for (const Span& span : text.spans) {
    if (span.begin > at) out.append(f(bytes.substr(at, span.begin - at)));
    out.append_owned(f(bytes.substr(span.begin, span.end - span.begin)), span.owner);
    at = span.end;
  }
  if (at < bytes.size()) out.append(f(bytes.substr(at)));
  return out.take();
}

/// str() and repr() of a value.
[[nodiscard]] String to_text(Heap& heap, const Value& value);
void append_text(Heap& heap, TextBuilder& out, const Value& value);
void append_repr(Heap& heap, TextBuilder& out, const Value& value);
/// Python's repr of a float: the shortest digits that read back the same.
[[nodiscard]] std::string float_repr(double value);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;  ///< of one level; none: on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
/// json.dumps.
void append_json(Heap& heap, TextBuilder& out, const Value& value, const JsonStyle& style,
                 int level = 0);

/// Python's str.isspace of one code point.
[[nodiscard]] bool is_space(char32_t c);
/// The code point at `at` in valid UTF-8, which moves behind it.
char32_t next_code_point(std::string_view text, std::size_t& at);
void append_utf8(std::string& out, char32_t c);
/// Start of each code point, and the end: n + 1 offsets.
[[nodiscard]] std::vector<std::size_t> offsets(Heap& heap, std::string_view text);
/// First place of `needle` at or after `from`, in time linear in both; npos when there is none.
[[nodiscard]] std::size_t find_bytes(std::string_view text, std::string_view needle,
                                     std::size_t from = 0);

/// strip(chars); white space without `chars`.
[[nodiscard]] String strip(Heap& heap, const String& text, const String* chars, bool left,
                           bool right);
[[nodiscard]] String upper(Heap& heap, const String& text);
[[nodiscard]] String lower(Heap& heap, const String& text);
[[nodiscard]] String capitalize(Heap& heap, const String& text);
/// str.title(): a letter after no letter is a capital.
[[nodiscard]] String title_method(Heap& heap, const String& text);
/// The title filter: a letter after white space or one of -({[< is a capital.
[[nodiscard]] String title_filter(Heap& heap, const String& text);
[[nodiscard]] String replace(Heap& heap, const String& text, const String& from, const String& to,
                             std::int64_t count);
[[nodiscard]] std::vector<String> split_lines(Heap& heap, const String& text, bool keep_ends);
[[nodiscard]] String reversed(Heap& heap, const String& text);
/// text[start:stop:step] with Python's rules for missing and negative bounds.
[[nodiscard]] String slice(Heap& heap, const String& text, std::optional<std::int64_t> start,
                           std::optional<std::int64_t> stop, std::int64_t step);
/// The indices of such a slice of something of `size`.
[[nodiscard]] std::vector<std::int64_t> slice_indices(Heap& heap, std::int64_t size,
                                                      std::optional<std::int64_t> start,
                                                      std::optional<std::int64_t> stop,
                                                      std::int64_t step);
/// text % args.
[[nodiscard]] String percent_format(Heap& heap, const String& format, const Value& args);

}  // namespace nativo::text::jinja
