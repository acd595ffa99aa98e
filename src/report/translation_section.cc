// How the translation went: who translated how many rows, what failed on the way, how long the
// translations are, and the pairs that deserve a look.
#include <fmt/format.h>

#include <algorithm>

#include "report/html.h"
#include "report/sections.h"

namespace nativo::report {
namespace {

using Counts = std::vector<std::pair<std::string, std::uint64_t>>;

double percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

std::uint64_t sum_of(const Counts& counts) {
  std::uint64_t sum = 0;
  for (const auto& [name, rows] : counts) sum += rows;
  return sum;
}

std::string rules_text(const Counts& rules) {
  std::string text;
  for (const auto& [rule, rows] : rules) {
    text +=
        fmt::format("{}{} {}", text.empty() ? "" : ", ", escape(words_of(rule)), count_text(rows));
  }
  return text;
}

const Counts* failures_of(const TranslationFacts& facts, const std::string& step) {
  for (const auto& [name, rules] : facts.failures) {
    if (name == step) return &rules;
  }
  return nullptr;
}

/// A row a step, also those that kept nothing.
std::string steps_table(const TranslationFacts& facts) {
  Counts steps = facts.rows_by_step;
  for (const auto& [step, rules] : facts.failures) {
    const bool known =
        std::ranges::any_of(steps, [&](const auto& entry) { return entry.first == step; });
    if (!known) steps.emplace_back(step, 0);
  }
  std::string out =
      "<div class=\"scroll\"><table><thead><tr><th>engine</th><th>rows kept</th><th>rows "
      "failed</th><th class=\"words\">because of</th></tr></thead><tbody>";
  for (const auto& [step, rows] : steps) {
    const Counts* rules = failures_of(facts, step);
    out += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"words\">{}</td></tr>",
                       escape(step), count_text(rows),
                       count_text(rules == nullptr ? 0 : sum_of(*rules)),
                       rules == nullptr ? "" : rules_text(*rules));
  }
  return out + "</tbody></table></div>";
}

std::string ratios_chart(const TranslationFacts& facts) {
  if (facts.length_ratios.empty()) return {};
  std::uint64_t most = 1;
  std::uint64_t all = 0;
  for (const auto& [edge, rows] : facts.length_ratios) {
    most = std::max(most, rows);
    all += rows;
  }
  std::string bars;
  const auto last = static_cast<int>(facts.length_ratios.back().first * 10.0 + 0.5);
  auto next = facts.length_ratios.begin();
  for (int tenth = static_cast<int>(next->first * 10.0 + 0.5); tenth <= last; ++tenth) {
    std::uint64_t rows = 0;
    if (next != facts.length_ratios.end() && static_cast<int>(next->first * 10.0 + 0.5) == tenth) {
      rows = (next++)->second;
    }
    bars += fmt::format(
        "<li title=\"{0:.1f} to {1:.1f}: {2} rows ({3:.1f} %)\"><span "
        "style=\"height:{4:.1f}%\"></span>{0:.1f}</li>",
        tenth / 10.0, (tenth + 1) / 10.0, count_text(rows), percent(rows, all),
        0.85 * percent(rows, most));
  }
  return "<h3>Letters of the translation for one of the source</h3><ol class=\"ratios\">" + bars +
         "</ol>";
}

std::string pairs_list(const std::vector<TranslationPair>& pairs, const char* title) {
  if (pairs.empty()) return {};
  std::string out = fmt::format("<details><summary>{} ({})</summary>", title, pairs.size());
  for (const TranslationPair& pair : pairs) {
    out +=
        fmt::format("<article class=\"pair\"><p class=\"quiet\">{}</p><div><p dir=\"auto\">{}</p>",
                    escape(pair.note), escape(pair.source));
    if (!pair.translation.empty()) {
      out += fmt::format("<p dir=\"auto\">{}</p>", escape(pair.translation));
    }
    out += "</div></article>";
  }
  return out + "</details>";
}

}  // namespace

std::string translation_section(const RunFiles& run) {
  if (!run.translation) return {};
  const TranslationFacts& facts = *run.translation;
  return fmt::format(
             "<section id=\"translation\"><h2>Translation</h2><p class=\"lead\">{} rows by {}. "
             "Where "
             "a check failed, the next engine tried; after the last one the row was rejected.</p>",
             count_text(sum_of(facts.rows_by_step)), escape(facts.engine)) +
         steps_table(facts) + ratios_chart(facts) +
         pairs_list(facts.worst, "Kept, but look at them first") +
         pairs_list(facts.rejected, "Rejected") + "</section>";
}

}  // namespace nativo::report
