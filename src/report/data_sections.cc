// What happened to the records: the funnel, the lengths, where they come from.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "report/html.h"
#include "report/sections.h"

namespace nativo::report {
namespace {

std::string stage_does(const std::string& name) {
  if (name == "ingest") return "read and brought into one shape";
  if (name == "dedup_sources") return "one of each pair of near-equals, before it is translated";
  if (name == "translate") return "English into the language";
  if (name == "filter") return "rules a record must obey";
  if (name == "dedup") return "one of each pair of near-equals";
  if (name == "mix") return "shares, order, held-out part";
  return "";
}

double percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

std::string reasons(const StageFacts& stage) {
  if (stage.rejects.empty()) return {};
  const std::uint64_t all = stage.rejected();
  std::string out = "<ul class=\"reasons\">";
  for (const auto& [rule, rows] : stage.rejects) {
    if (rows == 0) continue;
    out += fmt::format(
        "<li><span class=\"reason\">{}</span><span class=\"track\"><span "
        "style=\"width:{:.2f}%\"></span></span><span class=\"n\">{}</span></li>",
        escape(words_of(rule)), percent(rows, all), count_text(rows));
  }
  return out + "</ul>";
}

std::string notes(const StageFacts& stage) {
  std::vector<std::string> parts;
  if (stage.rows_added > 0) {
    parts.push_back(fmt::format("{} rows made from others", count_text(stage.rows_added)));
  }
  if (stage.outputs.size() > 1) {
    for (const auto& [name, rows] : stage.outputs) {
      parts.push_back(fmt::format("{} {}", count_text(rows), escape(words_of(name))));
    }
  }
  if (stage.tokens) parts.push_back(count_text(*stage.tokens) + " tokens kept");
  if (stage.seconds > 0) parts.push_back(human_duration(stage.seconds));
  return fmt::format("{}", fmt::join(parts, " · "));
}

bool accounted_for(const StageFacts& stage) {
  return stage.rows_in + stage.rows_added == stage.rows_out + stage.rejected();
}

std::string range_text(std::int64_t low, std::int64_t next) {
  if (next <= low) return count_text(static_cast<std::uint64_t>(low)) + "+";
  return fmt::format("{}–{}", count_text(static_cast<std::uint64_t>(low)),
                     count_text(static_cast<std::uint64_t>(next - 1)));
}

// The first stage that counted lengths and the last one that did; null when there are not two.
struct LengthPair {
  const StageFacts* before = nullptr;
  const StageFacts* after = nullptr;
};

LengthPair length_pair(const RunFiles& run) {
  LengthPair pair;
  for (const StageFacts& stage : run.stages) {
    if (stage.lengths.empty()) continue;
    if (pair.before == nullptr) pair.before = &stage;
    pair.after = &stage;
  }
  if (pair.before == pair.after) return {};
  return pair;
}

std::vector<std::int64_t> edges_of(const LengthPair& pair) {
  std::set<std::int64_t> edges;
  for (const auto& [edge, rows] : pair.before->lengths) edges.insert(edge);
  for (const auto& [edge, rows] : pair.after->lengths) edges.insert(edge);
  return {edges.begin(), edges.end()};
}

std::uint64_t rows_at(const StageFacts& stage, std::int64_t edge) {
  const auto found = stage.lengths.find(edge);
  return found == stage.lengths.end() ? 0 : found->second;
}

std::string edge_label(const std::vector<std::int64_t>& edges, std::size_t i) {
  return range_text(edges[i], i + 1 < edges.size() ? edges[i + 1] : 0);
}

}  // namespace

std::string stages_section(const RunFiles& run) {
  if (run.stages.empty()) return {};
  std::uint64_t widest = 1;
  bool all_accounted = true;
  for (const StageFacts& stage : run.stages) {
    widest = std::max(widest, stage.rows_in + stage.rows_added);
    all_accounted = all_accounted && accounted_for(stage);
  }
  const StageFacts& first = run.stages.front();
  const StageFacts& last = run.stages.back();
  std::string out = fmt::format(
      "<section id=\"data\"><h2>From raw rows to training data</h2><p class=\"lead\">{} rows came "
      "in, {} are left after {}. {}</p><ol class=\"funnel\">",
      count_text(first.rows_in), count_text(last.rows_out), escape(last.name),
      all_accounted ? "Every row is accounted for: in + made = kept + dropped, at each stage."
                    : "<strong class=\"worse\">The rows of a stage do not add up.</strong>");
  for (const StageFacts& stage : run.stages) {
    const std::uint64_t rejected = stage.rejected();
    const std::string dropped =
        rejected > 0
            ? fmt::format("<span class=\"dropped\">−{} <small>({:.1f}%)</small></span>",
                          count_text(rejected), percent(rejected, stage.rows_in + stage.rows_added))
            : "<span class=\"quiet\">nothing dropped</span>";
    out += fmt::format(
        "<li><div class=\"stage\"><strong>{}</strong><small>{}</small></div><div class=\"flow\">"
        "<div class=\"bar\"><span class=\"kept\" style=\"width:{:.2f}%\"></span><span "
        "class=\"lost\" style=\"width:{:.2f}%\"></span></div><div class=\"counts\"><span><b>{}</b> "
        "kept</span>{}<span class=\"quiet\">{}</span></div>{}</div></li>",
        escape(stage.name), stage_does(stage.name), percent(stage.rows_out, widest),
        percent(rejected, widest), count_text(stage.rows_out), dropped, notes(stage),
        reasons(stage));
    if (!accounted_for(stage)) {
      out += fmt::format("<li class=\"worse\">{} in + {} made ≠ {} kept + {} dropped</li>",
                         count_text(stage.rows_in), count_text(stage.rows_added),
                         count_text(stage.rows_out), count_text(rejected));
    }
  }
  return out + "</ol></section>";
}

std::string lengths_section(const RunFiles& run) {
  const LengthPair pair = length_pair(run);
  if (pair.before == nullptr) return {};
  const std::vector<std::int64_t> edges = edges_of(pair);
  const std::string before = escape(pair.before->name);
  const std::string after = escape(pair.after->name);
  std::string rows;
  for (std::size_t i = 0; i < edges.size(); ++i) {
    rows += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
                        edge_label(edges, i), count_text(rows_at(*pair.before, edges[i])),
                        count_text(rows_at(*pair.after, edges[i])));
  }
  return fmt::format(
      "<section id=\"lengths\"><h2>How long the records are</h2><p class=\"lead\">Characters a "
      "record, after {0} and after {1}.</p><div class=\"chart\" style=\"height:15rem\"><canvas "
      "id=\"chart-lengths\" role=\"img\" aria-label=\"Histogram of record lengths after {0} and "
      "after {1}; the table below has the numbers\"></canvas></div><details><summary>The numbers"
      "</summary><div class=\"scroll\"><table><thead><tr><th>characters</th><th>{0}</th><th>{1}"
      "</th></tr></thead><tbody>{2}</tbody></table></div></details></section>",
      before, after, rows);
}

Json lengths_data(const RunFiles& run) {
  const LengthPair pair = length_pair(run);
  if (pair.before == nullptr) return nullptr;
  const std::vector<std::int64_t> edges = edges_of(pair);
  Json data = {{"labels", Json::array()},
               {"before_name", "after " + pair.before->name},
               {"after_name", "after " + pair.after->name},
               {"before", Json::array()},
               {"after", Json::array()}};
  for (std::size_t i = 0; i < edges.size(); ++i) {
    data["labels"].push_back(edge_label(edges, i));
    data["before"].push_back(rows_at(*pair.before, edges[i]));
    data["after"].push_back(rows_at(*pair.after, edges[i]));
  }
  return data;
}

std::string sources_section(const RunFiles& run) {
  if (run.sources.empty()) return {};
  const auto cell = [](const std::optional<std::uint64_t>& rows) {
    return rows ? count_text(*rows) : std::string("–");
  };
  std::set<std::string> licences;
  std::string rows;
  for (const SourceFacts& source : run.sources) {
    licences.insert(source.licence.empty() ? "not stated" : source.licence);
    rows += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"words\">{}</td><td class=\"words\">{}</td><td>{}"
        "</td><td>{}</td></tr>",
        escape(source.name),
        source.licence.empty() ? "<span class=\"worse\">not stated</span>" : escape(source.licence),
        escape(source.lang), cell(source.rows), cell(source.kept));
  }
  return fmt::format(
      "<section id=\"sources\"><h2>Where the data comes from</h2><p class=\"lead\">{} source{} "
      "under {} licence{}: {}.</p><div class=\"scroll\"><table><thead><tr><th>source</th><th "
      "class=\"words\">licence</th><th class=\"words\">language</th><th>rows</th><th>kept by the "
      "filter</th></tr></thead><tbody>{}</tbody></table></div></section>",
      run.sources.size(), run.sources.size() == 1 ? "" : "s", licences.size(),
      licences.size() == 1 ? "" : "s", escape(fmt::format("{}", fmt::join(licences, ", "))), rows);
}

}  // namespace nativo::report
