#include "translate/prepare.h"

#include <algorithm>

#include "text/glossary.h"
#include "text/span_chars.h"

namespace nativo::translate {
namespace {

using text::Span;
using text::SpanKind;

/// The part of the line before byte `i` of `source`.
std::string_view line_before(std::string_view source, std::size_t i) {
  const std::size_t from = i > 200 ? i - 200 : 0;
  const std::string_view window = source.substr(from, i - from);
  const std::size_t newline = window.rfind('\n');
  return newline == std::string_view::npos ? window : window.substr(newline + 1);
}

/// `moved` tells whether a mnemonic was.
Prepared prepared(std::string_view source, const PrepareRules& rules, bool may_move, bool& moved) {
  Prepared made;
  const bool glossary = rules.glossary != nullptr && !rules.glossary->empty();
  text::TermAt term_at;
  if (glossary) {
    term_at = [&](std::string_view text, std::size_t i) {
      return rules.glossary->match(text, i).end;
    };
  }
  made.text.reserve(source.size() + 16);
  std::vector<Span> spans = text::find_spans(source, term_at);
  made.wraps = text::unwrap_lines(source, spans);
  if (!made.wraps.lines.empty()) {
    if (text::verify_protected(source, spans, made.wraps.text, term_at).ok()) {
      source = made.wraps.text;
      spans = text::find_spans(source, term_at);
    } else {
      made.wraps = {};
    }
  }
  std::size_t at = 0;
  for (const Span& span : spans) {
    made.text += source.substr(at, span.begin - at);
    at = span.end;
    const std::string_view bytes = source.substr(span.begin, span.end - span.begin);
    std::size_t begin = made.text.size();
    if (span.kind == SpanKind::kNumber) {
      const std::string number =
          text::localize_number(bytes, line_before(source, span.begin), rules.numbers);
      made.localized += number != bytes;
      made.text += number;
    } else if (span.kind == SpanKind::kTerm) {
      const text::GlossaryEntry& entry = *rules.glossary->match(source, span.begin).entry;
      made.text += text::in_case_of(entry, bytes);
      ++made.forced;
      const Term term{entry.source, entry.target};
      if (std::ranges::find(made.terms, term) == made.terms.end()) made.terms.push_back(term);
    } else if (span.kind == SpanKind::kMnemonic && bytes == "&" && may_move) {
      const std::size_t floor = made.spans.empty() ? 0 : made.spans.back().end;
      while (begin > floor && text::is_word_byte(made.text[begin - 1])) --begin;
      moved = moved || begin < made.text.size();
      made.text.insert(begin, 1, '&');
      made.spans.push_back({span.kind, begin, begin + 1});
      continue;
    } else {
      made.text += bytes;
    }
    made.spans.push_back({span.kind, begin, made.text.size()});
  }
  made.text += source.substr(at);
  return made;
}

}  // namespace

Prepared prepare(std::string_view source, const PrepareRules& rules) {
  bool moved = false;
  Prepared made = prepared(source, rules, /*may_move=*/true, moved);
  // Where it would be no mnemonic at its word's beginning ("[tra&ns.x]"), it stays.
  if (moved && !verify_prepared(made, made.text).ok()) {
    made = prepared(source, rules, /*may_move=*/false, moved);
  }
  return made;
}

std::string with_wraps(const Prepared& prepared, std::string result) {
  return prepared.wraps.lines.empty() ? result : text::rewrap_lines(result, prepared.wraps);
}

Result<std::size_t> verify_prepared(const Prepared& prepared, std::string_view result) {
  std::vector<std::string_view> targets;
  for (const Span& span : prepared.spans) {
    if (span.kind != SpanKind::kTerm) continue;
    targets.push_back(std::string_view(prepared.text).substr(span.begin, span.end - span.begin));
  }
  if (targets.empty()) return text::verify_protected(prepared.text, prepared.spans, result);
  std::ranges::sort(targets, [](std::string_view a, std::string_view b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
  targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
  return text::verify_protected(prepared.text, prepared.spans, result,
                                [&](std::string_view text, std::size_t i) {
                                  for (const std::string_view target : targets) {
                                    if (text.substr(i).starts_with(target) &&
                                        text::are_whole_words(text, i, i + target.size())) {
                                      return i + target.size();
                                    }
                                  }
                                  return std::string_view::npos;
                                });
}

}  // namespace nativo::translate
