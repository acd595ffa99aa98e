// The verifier: multisets of bytes, the order of what has an order, the nesting of what opens and
// closes.
#include <algorithm>
#include <map>
#include <string>

#include "text/protected_spans.h"
#include "text/span_chars.h"

namespace nativo::text {
namespace {

std::string_view bytes_of(std::string_view text, const Span& span) {
  return text.substr(span.begin, span.end - span.begin);
}

/// May occur more often in the translation than in the source.
bool may_be_added(SpanKind kind) { return kind == SpanKind::kTerm || kind == SpanKind::kUnit; }
bool has_order(SpanKind kind) { return is_block(kind) || kind == SpanKind::kMessageFormat; }

bool is_void(std::string_view name) {
  for (const std::string_view one : {"br", "hr", "img", "input", "meta", "link", "col", "wbr"}) {
    if (name == one) return true;
  }
  return false;
}

/// The first mark that closes what is not open, or that stays open; npos when all is well nested.
std::size_t first_unpaired(std::string_view text, std::span<const Span> spans) {
  std::vector<std::pair<std::string_view, std::size_t>> open;
  for (std::size_t s = 0; s < spans.size(); ++s) {
    std::string_view pair;
    MarkRole role = mark_role(spans[s].kind, bytes_of(text, spans[s]), pair);
    if (role == MarkRole::kAlone) continue;
    if (role == MarkRole::kToggles) {
      const bool inside = std::any_of(open.begin(), open.end(),
                                      [&](const auto& mark) { return mark.first == pair; });
      role = inside ? MarkRole::kCloses : MarkRole::kOpens;
    }
    if (role == MarkRole::kOpens) {
      open.emplace_back(pair, s);
    } else if (!open.empty() && open.back().first == pair) {
      open.pop_back();
    } else {
      return s;
    }
  }
  return open.empty() ? kNoSpan : open.back().second;
}

Rejection lost(std::string_view bytes) { return {"protected_span_lost", std::string(bytes)}; }

}  // namespace

MarkRole mark_role(SpanKind kind, std::string_view bytes, std::string_view& pair) {
  if (kind == SpanKind::kMarkup) {
    if (bytes == "[" || bytes == "![") {
      pair = "[";
      return MarkRole::kOpens;
    }
    if (bytes.starts_with("](") || bytes.starts_with("][")) {
      pair = "[";
      return MarkRole::kCloses;
    }
    pair = bytes;
    return is_one_of(bytes[0], "*_~") ? MarkRole::kToggles : MarkRole::kAlone;
  }
  if (kind != SpanKind::kTag || bytes.size() < 3 || bytes.ends_with("/>")) return MarkRole::kAlone;
  const bool closes = bytes[1] == '/';
  const std::size_t name = closes ? 2 : 1;
  if (!is_alpha(char_at(bytes, name))) return MarkRole::kAlone;
  std::size_t end = name;
  while (is_plain(char_at(bytes, end)) || is_one_of(char_at(bytes, end), "-:")) {
    if (++end >= bytes.size()) break;
  }
  pair = bytes.substr(name, end - name);
  if (is_void(pair)) return MarkRole::kAlone;
  if (bytes[0] == '[') {  // BBCode
    return closes ? MarkRole::kCloses : MarkRole::kOpens;
  }
  // An element taken with its content ends with its own closing tag.
  if (!closes && bytes.ends_with("</" + std::string(pair) + ">")) return MarkRole::kAlone;
  return closes ? MarkRole::kCloses : MarkRole::kOpens;
}

Result<std::size_t> verify_protected(std::string_view source, std::span<const Span> wanted,
                                     std::string_view result, const TermAt& term_in_result) {
  const std::vector<Span> found = find_spans(result, term_in_result);
  std::map<std::string_view, std::ptrdiff_t> balance;  // wanted less found
  for (const Span& span : wanted) ++balance[bytes_of(source, span)];
  for (const Span& span : found) --balance[bytes_of(result, span)];
  // A lost span explains more than an added one: look for it first.
  for (const Span& span : wanted) {
    if (balance[bytes_of(source, span)] > 0) return lost(bytes_of(source, span));
  }
  for (const Span& span : found) {
    const std::string_view bytes = bytes_of(result, span);
    if (balance[bytes] < 0 && !may_be_added(span.kind)) {
      return Rejection{"protected_span_added", std::string(bytes)};
    }
  }
  const auto moved = [](std::string_view bytes) {
    return Rejection{"protected_span_moved", std::string(bytes)};
  };
  std::vector<std::string_view> order;
  for (const Span& span : wanted) {
    if (has_order(span.kind)) order.push_back(bytes_of(source, span));
  }
  std::size_t next = 0;
  for (const Span& span : found) {
    if (!has_order(span.kind)) continue;
    const std::string_view bytes = bytes_of(result, span);
    if (next >= order.size() || order[next] != bytes) return moved(bytes);
    ++next;
  }
  if (first_unpaired(source, wanted) == kNoSpan) {
    const std::size_t unpaired = first_unpaired(result, found);
    if (unpaired != kNoSpan) return moved(bytes_of(result, found[unpaired]));
  }
  return wanted.size();
}

Result<std::size_t> verify_protected(std::string_view source, std::string_view result) {
  return verify_protected(source, find_spans(source), result);
}

}  // namespace nativo::text
