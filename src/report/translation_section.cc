// How the translation went: who translated how many rows, what failed on the way, how long the
// translations are, and the pairs that deserve a look.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

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

/// A bar for each edge from the first to the last, `width` apart, shown with `decimals`.
std::string histogram(const std::vector<std::pair<double, std::uint64_t>>& counts, double width,
                      int decimals, std::string_view title) {
  if (counts.empty()) return {};
  std::uint64_t most = 1;
  std::uint64_t all = 0;
  for (const auto& [edge, rows] : counts) {
    most = std::max(most, rows);
    all += rows;
  }
  const auto number = [&](double edge) { return std::lround(edge / width); };
  std::string bars;
  auto next = counts.begin();
  for (long bar = number(next->first); bar <= number(counts.back().first); ++bar) {
    std::uint64_t rows = 0;
    if (next != counts.end() && number(next->first) == bar) rows = (next++)->second;
    const double edge = static_cast<double>(bar) * width;
    bars += fmt::format(
        "<li title=\"{0:.{5}f} to {1:.{5}f}: {2} rows ({3:.1f} %)\"><span "
        "style=\"height:{4:.1f}%\"></span>{0:.{5}f}</li>",
        edge, edge + width, count_text(rows), percent(rows, all), 0.85 * percent(rows, most),
        decimals);
  }
  return fmt::format("<h3>{}</h3><ol class=\"ratios\">{}</ol>", title, bars);
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
         steps_table(facts) +
         histogram(facts.length_ratios, 0.1, 1,
                   "Letters of the translation for one of the source") +
         histogram(facts.round_trips, 5.0, 0,
                   "chrF2 of the source and its translation, translated back") +
         pairs_list(facts.worst, "Kept, but look at them first") +
         pairs_list(facts.rejected, "Rejected") + "</section>";
}

}  // namespace nativo::report
