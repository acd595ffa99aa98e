#include "text/jinja_strings.h"

#include <fmt/format.h>
#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace nativo::text::jinja {

void TextBuilder::append(std::string_view plain) {
  heap_.reserve(plain.size());
  text_.bytes += plain;
}

void TextBuilder::append_owned(std::string_view bytes, int owner) {
  if (bytes.empty()) return;
  heap_.reserve(bytes.size());
  const std::size_t begin = text_.bytes.size();
  text_.bytes += bytes;
  if (!text_.spans.empty() && text_.spans.back().end == begin &&
      text_.spans.back().owner == owner) {
    text_.spans.back().end = text_.bytes.size();
    return;
  }
  heap_.reserve(sizeof(Span));
  text_.spans.push_back({begin, text_.bytes.size(), owner});
}

void TextBuilder::append(const String& text, std::size_t begin, std::size_t end) {
  const std::string_view bytes = text.bytes;
  auto span = std::upper_bound(text.spans.begin(), text.spans.end(), begin,
                               [](std::size_t at, const Span& s) { return at < s.end; });
  std::size_t at = begin;
  for (; span != text.spans.end() && span->begin < end; ++span) {
    const std::size_t from = std::max(span->begin, begin);
    const std::size_t to = std::min(span->end, end);
    append(bytes.substr(at, from - at));
    append_owned(bytes.substr(from, to - from), span->owner);
    at = to;
  }
  append(bytes.substr(at, end - at));
}

String substring(const String& text, std::size_t begin, std::size_t end) {
  String out;
  out.bytes = text.bytes.substr(begin, end - begin);
  for (const Span& span : text.spans) {
    if (span.end <= begin || span.begin >= end) continue;
    out.spans.push_back(
        {std::max(span.begin, begin) - begin, std::min(span.end, end) - begin, span.owner});
  }
  return out;
}

char32_t next_code_point(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const unsigned lead = byte(at);
  if (lead < 0x80) {
    ++at;
    return lead;
  }
  const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  char32_t c = lead & (0x3FU >> more);
  for (int i = 1; i <= more; ++i) c = (c << 6U) | (byte(at + static_cast<std::size_t>(i)) & 0x3FU);
  at = std::min(at + 1 + static_cast<std::size_t>(more), text.size());
  return c;
}

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&out](char32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6U));
    put(0x80 | (c & 0x3FU));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12U));
    put(0x80 | ((c >> 6U) & 0x3FU));
    put(0x80 | (c & 0x3FU));
  } else {
    put(0xF0 | (c >> 18U));
    put(0x80 | ((c >> 12U) & 0x3FU));
    put(0x80 | ((c >> 6U) & 0x3FU));
    put(0x80 | (c & 0x3FU));
  }
}

bool is_space(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

std::vector<std::size_t> offsets(Heap& heap, std::string_view text) {
  heap.reserve(text.size() * sizeof(std::size_t));
  std::vector<std::size_t> out;
  for (std::size_t at = 0; at < text.size(); next_code_point(text, at)) out.push_back(at);
  out.push_back(text.size());
  return out;
}

std::size_t find_bytes(std::string_view text, std::string_view needle, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (needle.empty()) return from;
  const void* hit = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  if (hit == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(hit) - text.data());
}

String strip(Heap& heap, const String& text, const String* chars, bool left, bool right) {
  const std::string_view bytes = text.bytes;
  heap.work(bytes.size() / 64);
  std::u32string set;
  if (chars != nullptr) {
    for (std::size_t at = 0; at < chars->bytes.size();) set += next_code_point(chars->bytes, at);
    std::sort(set.begin(), set.end());
  }
  const auto gone = [&](char32_t c) {
    return chars == nullptr ? is_space(c) : std::binary_search(set.begin(), set.end(), c);
  };
  std::size_t begin = 0;
  std::size_t end = bytes.size();
  while (left && begin < end) {
    std::size_t at = begin;
    if (!gone(next_code_point(bytes, at))) break;
    begin = at;
  }
  while (right && end > begin) {
    std::size_t at = end - 1;
    while (at > begin && (static_cast<unsigned char>(bytes[at]) & 0xC0U) == 0x80U) --at;
    std::size_t after = at;
    if (!gone(next_code_point(bytes, after))) break;
    end = at;
  }
  return substring(text, begin, end);
}

namespace {

icu::UnicodeString to_icu(std::string_view text) {
  return icu::UnicodeString::fromUTF8({text.data(), static_cast<std::int32_t>(text.size())});
}

std::string from_icu(const icu::UnicodeString& text) {
  std::string out;
  text.toUTF8String(out);
  return out;
}

std::string upper_bytes(std::string_view text) {
  return from_icu(to_icu(text).toUpper(icu::Locale::getRoot()));
}

std::string lower_bytes(std::string_view text) {
  return from_icu(to_icu(text).toLower(icu::Locale::getRoot()));
}

/// The first letter of `text` as a title's, by full mapping ("ß" gives "Ss").
std::string title_bytes(std::string_view text) {
  icu::UnicodeString letter = to_icu(text);
  return from_icu(letter.toTitle(nullptr, icu::Locale::getRoot(), U_TITLECASE_NO_BREAK_ADJUSTMENT));
}

/// Maps letter by letter: `first(previous letter)` says whether a letter is mapped by `to_first`
/// or becomes small.
template <class First, class ToFirst>
String map_case(Heap& heap, const String& text, First&& first, ToFirst&& to_first) {
  const std::string_view bytes = text.bytes;
  TextBuilder out(heap);
  std::size_t at = 0;
  char32_t previous = 0;
  auto span = text.spans.begin();
  while (at < bytes.size()) {
    const std::size_t begin = at;
    const char32_t c = next_code_point(bytes, at);
    const std::string_view letter = bytes.substr(begin, at - begin);
    const std::string mapped = first(previous) ? to_first(letter) : lower_bytes(letter);
    while (span != text.spans.end() && span->end <= begin) ++span;
    if (span != text.spans.end() && span->begin <= begin) {
      out.append_owned(mapped, span->owner);
    } else {
      out.append(mapped);
    }
    heap.work(1);
    previous = c;
  }
  return out.take();
}

}  // namespace

String upper(Heap& heap, const String& text) { return map_pieces(heap, text, upper_bytes); }
String lower(Heap& heap, const String& text) { return map_pieces(heap, text, lower_bytes); }

String capitalize(Heap& heap, const String& text) {
  if (text.bytes.empty()) return text;
  std::size_t first = 0;
  next_code_point(text.bytes, first);
  TextBuilder out(heap);
  out.append(map_pieces(heap, substring(text, 0, first), title_bytes));
  out.append(lower(heap, substring(text, first, text.bytes.size())));
  return out.take();
}

String title_method(Heap& heap, const String& text) {
  const auto cased = [](char32_t c) {
    return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_CASED) != 0;
  };
  return map_case(
      heap, text, [&](char32_t previous) { return !cased(previous); }, title_bytes);
}

String title_filter(Heap& heap, const String& text) {
  const auto separates = [](char32_t c) {
    return c == 0 || c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || is_space(c);
  };
  return map_case(heap, text, separates, upper_bytes);
}

String replace(Heap& heap, const String& text, const String& from, const String& to,
               std::int64_t count) {
  heap.work(text.bytes.size() / 16);
  TextBuilder out(heap);
  const std::size_t size = text.bytes.size();
  std::size_t at = 0;
  if (from.bytes.empty()) {
    while (count != 0) {
      out.append(to);
      --count;
      if (at == size) return out.take();
      const std::size_t begin = at;
      next_code_point(text.bytes, at);
      out.append(text, begin, at);
    }
  } else {
    while (count != 0) {
      const std::size_t hit = find_bytes(text.bytes, from.bytes, at);
      if (hit == std::string_view::npos) break;
      out.append(text, at, hit);
      out.append(to);
      at = hit + from.bytes.size();
      --count;
    }
  }
  out.append(text, at, size);
  return out.take();
}

std::vector<String> split_lines(Heap& heap, const String& text, bool keep_ends) {
  std::vector<String> lines;
  const std::string_view bytes = text.bytes;
  heap.reserve(bytes.size());
  std::size_t begin = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = at;
    const char32_t c = next_code_point(bytes, at);
    const bool breaks =
        (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (!breaks) continue;
    if (c == '\r' && at < bytes.size() && bytes[at] == '\n') ++at;
    heap.reserve(sizeof(String));
    lines.push_back(substring(text, begin, keep_ends ? at : end));
    begin = at;
  }
  if (begin < bytes.size()) lines.push_back(substring(text, begin, bytes.size()));
  return lines;
}

String reversed(Heap& heap, const String& text) {
  const std::vector<std::size_t> at = offsets(heap, text.bytes);
  TextBuilder out(heap);
  for (std::size_t i = at.size() - 1; i > 0; --i) out.append(text, at[i - 1], at[i]);
  return out.take();
}

std::vector<std::int64_t> slice_indices(Heap& heap, std::int64_t size,
                                        std::optional<std::int64_t> start,
                                        std::optional<std::int64_t> stop, std::int64_t step) {
  if (step == 0) throw EvalError("a slice's step is 0");
  const std::int64_t low = step > 0 ? 0 : -1;
  const std::int64_t high = step > 0 ? size : size - 1;
  const auto bound = [&](std::optional<std::int64_t> at, std::int64_t missing) {
    if (!at) return missing;
    const std::int64_t i = *at < 0 ? (*at < -size ? low : *at + size) : *at;
    return std::clamp(i, low, std::max(low, high));
  };
  const std::int64_t first = bound(start, step > 0 ? low : high);
  const std::int64_t last = bound(stop, step > 0 ? high : low);
  std::vector<std::int64_t> out;
  for (std::int64_t i = first; step > 0 ? i < last : i > last;) {
    if (out.size() % 64 == 0) heap.reserve(64 * sizeof(std::int64_t));
    out.push_back(i);
    if (step > size || step < -size) break;
    i += step;
  }
  return out;
}

String slice(Heap& heap, const String& text, std::optional<std::int64_t> start,
             std::optional<std::int64_t> stop, std::int64_t step) {
  const std::vector<std::size_t> at = offsets(heap, text.bytes);
  const std::vector<std::int64_t> indices =
      slice_indices(heap, std::ssize(at) - 1, start, stop, step);
  if (indices.empty()) return {};
  if (step == 1) {
    return substring(text, at[static_cast<std::size_t>(indices.front())],
                     at[static_cast<std::size_t>(indices.back()) + 1]);
  }
  TextBuilder out(heap);
  for (const std::int64_t i : indices) {
    const auto k = static_cast<std::size_t>(i);
    out.append(text, at[k], at[k + 1]);
  }
  return out.take();
}

}  // namespace nativo::text::jinja
