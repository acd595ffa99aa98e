#include "translate/llm_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "base/strings.h"
#include "text/protected_spans.h"

namespace nativo::translate {
namespace {

constexpr std::string_view kThoughtEnd = "</think>";

std::string excerpt(std::string_view text) {
  return replace_all(printable(utf8_prefix(trim(text), 120)), "\n", " ");
}

bool has_control_characters(std::string_view text) {
  return std::ranges::any_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < ' ' && c != '\n' && c != '\t') || byte == 0x7F;
  });
}

/// Behind what a model thought aloud, unless the text itself speaks of such marks.
std::string_view without_thought(std::string_view source, std::string_view answer) {
  if (source.find(kThoughtEnd) != std::string_view::npos) return answer;
  const std::size_t end = answer.rfind(kThoughtEnd);
  return end == std::string_view::npos ? answer : answer.substr(end + kThoughtEnd.size());
}

/// A code fence around the whole that the source does not have.
std::string_view without_fence(std::string_view source, std::string_view text) {
  if (!text.starts_with("```") || !text.ends_with("```") || source.starts_with("```")) return text;
  const std::size_t line = text.find('\n');
  if (line == std::string_view::npos || line + 3 >= text.size()) return text;
  const std::string_view inside = text.substr(line + 1, text.size() - line - 4);
  return inside.find("```") == std::string_view::npos ? trim(inside) : text;
}

bool is_blank(std::string_view line) { return trim(line).empty(); }

/// The lines of `translation` with the white space of `source`'s; nothing when their numbers
/// differ.
std::optional<std::string> laid_out(std::string_view source, std::string_view translation) {
  std::vector<std::string_view> lines;
  for (const std::string_view line : split(translation, '\n')) {
    if (!is_blank(line)) lines.push_back(trim(line));
  }
  std::string result;
  std::size_t next = 0;
  const std::vector<std::string_view> model = split(source, '\n');
  for (std::size_t i = 0; i < model.size(); ++i) {
    if (i > 0) result += '\n';
    if (is_blank(model[i])) {
      result += model[i];
      continue;
    }
    if (next == lines.size()) return std::nullopt;
    const std::string_view core = trim(model[i]);
    const auto before = static_cast<std::size_t>(core.data() - model[i].data());
    result.append(model[i].substr(0, before));
    result.append(lines[next++]);
    result.append(model[i].substr(before + core.size()));
  }
  if (next != lines.size()) return std::nullopt;
  return result;
}

}  // namespace

std::string answer_tag(std::string_view source) {
  std::string tag = "translation";
  for (int number = 2; source.find("<" + tag) != std::string_view::npos ||
                       source.find("</" + tag) != std::string_view::npos;
       ++number) {
    tag = fmt::format("translation{}", number);
  }
  return tag;
}

Result<std::string> translation_in(std::string_view source, std::string_view answer,
                                   std::string_view tag) {
  const std::string open = fmt::format("<{}>", tag);
  const std::string close = fmt::format("</{}>", tag);
  answer = without_thought(source, answer);
  std::optional<std::string_view> found;
  for (std::size_t at = 0; (at = answer.find(open, at)) != std::string_view::npos;) {
    at += open.size();
    const std::size_t end = answer.find(close, at);
    if (end == std::string_view::npos) {
      return Rejection{"unfinished_translation", fmt::format("there is no {} at its end", close)};
    }
    const std::string_view inside = trim(answer.substr(at, end - at));
    if (found && *found != inside) {
      return Rejection{"several_translations", "there are several that differ"};
    }
    found = inside;
    at = end + close.size();
  }
  if (!found) {
    return Rejection{"no_translation", fmt::format("nothing stands between {} and {}: {}", open,
                                                   close, excerpt(answer))};
  }
  const std::string plain = replace_all(without_fence(source, *found), "\r\n", "\n");
  if (plain.empty()) return Rejection{"empty_translation", "it is empty"};
  if (has_control_characters(plain)) {
    return Rejection{"control_characters", "it has control characters"};
  }
  std::optional<std::string> translation = laid_out(source, plain);
  if (!translation) {
    return Rejection{"lines_changed", "it has not as many lines of text as the source"};
  }
  const auto proof = text::verify_protected(source, *translation);
  if (!proof.ok()) {
    const Rejection& why = proof.rejection();
    const std::string_view what = why.rule == "protected_span_lost"    ? "missing or changed in it"
                                  : why.rule == "protected_span_added" ? "not in the source"
                                                                       : "not in its place";
    return Rejection{why.rule, fmt::format("\"{}\" is {}", why.value, what)};
  }
  return std::move(*translation);
}

}  // namespace nativo::translate
