// How the trainings went: figures, curves, and the steps at which something happened.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <numeric>
#include <set>

#include "base/strings.h"
#include "report/html.h"
#include "report/sections.h"

namespace nativo::report {
namespace {

const double* summary_value(const TrainingFacts& training, std::string_view key) {
  for (const auto& [name, value] : training.summary) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::string fact(std::string_view name, const std::string& value) {
  return fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", name, value);
}

std::optional<double> median_percent_of_gemm(const std::vector<MetricPoint>& points) {
  std::vector<double> known;
  for (const MetricPoint& point : points) {
    if (point.percent_of_gemm) known.push_back(*point.percent_of_gemm);
  }
  if (known.empty()) return std::nullopt;
  const auto middle = known.begin() + static_cast<std::ptrdiff_t>(known.size() / 2);
  std::nth_element(known.begin(), middle, known.end());
  return *middle;
}

std::string step_text(double value) {
  return count_text(static_cast<std::uint64_t>(std::clamp(value, 0.0, 1e15)));
}

// Of which step the weights are that are the result, if there was a choice.
std::string best_fact(const TrainingFacts& training) {
  const double* step = summary_value(training, "best_step");
  const double* evaluations = summary_value(training, "evaluations");
  const double* last = summary_value(training, "eval_loss.last");
  if (step == nullptr || evaluations == nullptr || last == nullptr || *evaluations < 2) return {};
  return fact("the result", fmt::format("step {}, the best of {} evaluations ({:.3f} at the end)",
                                        step_text(*step), step_text(*evaluations), *last));
}

std::string training_facts(const TrainingFacts& training) {
  std::string out;
  const auto add = [&](const char* key, const char* name, const char* unit) {
    const double* value = summary_value(training, key);
    if (value != nullptr) out += fact(name, short_number(*value) + unit);
  };
  const auto add_pair = [&](const char* key, const char* name) {
    const double* first = summary_value(training, std::string(key) + ".first");
    const double* last = summary_value(training, std::string(key) + ".last");
    const double* best = summary_value(training, std::string(key) + ".best");  // the result's
    if (first == nullptr || last == nullptr) return;
    out += fact(name, fmt::format("{:.3f} → {:.3f}", *first, best != nullptr ? *best : *last));
  };
  add("parameters", "parameters", "");
  add("steps", "steps", "");
  add("examples", "examples", "");
  add("tokens", "tokens seen", "");
  add("tokens_per_second", "tokens a second", "");
  if (const auto percent = median_percent_of_gemm(training.points)) {
    out += fact("of the machine’s GEMM rate", short_number(*percent) + "%");
  }
  if (const double* seconds = summary_value(training, "seconds")) {
    out += fact("time", human_duration(std::clamp(*seconds, 0.0, 1e12)));
  }
  add_pair("loss", "training loss");
  add_pair("eval_loss", "held-out loss");
  add_pair("base_eval_loss", "held-out loss in the base’s language");
  out += best_fact(training);
  add("skipped_steps", "steps skipped", "");
  add("rollbacks", "rollbacks", "");
  return out.empty() ? "" : "<dl class=\"facts\">" + out + "</dl>";
}

std::string metric_rows(const std::vector<MetricPoint>& points) {
  constexpr std::size_t kRows = 12;
  const auto cell = [](const std::optional<double>& value, const char* format) {
    return value ? fmt::format(fmt::runtime(format), *value) : std::string("–");
  };
  std::string rows;
  const std::size_t shown = std::min(kRows, points.size());
  for (std::size_t i = 0; i < shown; ++i) {
    const MetricPoint& p = points[shown == 1 ? 0 : i * (points.size() - 1) / (shown - 1)];
    rows += fmt::format(
        "<tr><th "
        "scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></"
        "tr>",
        count_text(static_cast<std::uint64_t>(p.step)), cell(p.loss, "{:.4f}"),
        cell(p.eval_loss, "{:.4f}"), cell(p.base_eval_loss, "{:.4f}"), cell(p.lr, "{:.2e}"),
        cell(p.grad_norm, "{:.3f}"), cell(p.tokens_per_second, "{:.0f}"));
  }
  return rows;
}

bool has_several_sources(const std::vector<MetricPoint>& points) {
  std::set<std::string_view> names;
  for (const MetricPoint& point : points) {
    for (const auto& [name, unused] : point.sources) names.insert(name);
  }
  return names.size() > 1;
}

// Of each source the mean loss over the first and the last tenth of the steps that had it.
std::string source_table(const std::vector<MetricPoint>& points) {
  std::map<std::string, std::vector<double>> losses;
  for (const MetricPoint& point : points) {
    for (const auto& [name, loss] : point.sources) losses[name].push_back(loss);
  }
  std::string rows;
  for (const auto& [name, all] : losses) {
    const auto tenth = static_cast<std::ptrdiff_t>((all.size() + 9) / 10);
    const auto mean = [&](auto from) {
      return std::accumulate(from, from + tenth, 0.0) / static_cast<double>(tenth);
    };
    rows += fmt::format(
        "<tr><th scope=\"row\">{}</th><td>{}</td><td>{:.3f}</td><td>{:.3f}</td></tr>", escape(name),
        count_text(all.size()), mean(all.begin()), mean(all.end() - tenth));
  }
  return "<details><summary>Loss by source, first and last tenth of its steps</summary><div "
         "class=\"scroll\"><table><thead><tr><th>source</th><th>steps with it</th><th>first</th>"
         "<th>last</th></tr></thead><tbody>" +
         rows + "</tbody></table></div></details>";
}

// "Checkpoints after steps 100, 200. Resumed after step 150." and every spike and recovery in its
// words.
std::string event_list(const std::vector<TrainingEvent>& events) {
  constexpr std::size_t kShown = 12;
  const auto steps = [&](std::string_view kind) {
    std::vector<std::string> all;
    for (const TrainingEvent& event : events) {
      if (event.kind != kind) continue;
      all.push_back(count_text(static_cast<std::uint64_t>(event.step)));
    }
    if (all.size() <= kShown) return fmt::format("{}", fmt::join(all, ", "));
    return fmt::format("{} … {} ({} in all)",
                       fmt::join(all.begin(), all.begin() + kShown - 1, ", "), all.back(),
                       all.size());
  };
  std::string out;
  if (const std::string text = steps("checkpoint"); !text.empty()) {
    out += "Checkpoints after step " + text + ". ";
  }
  if (const std::string text = steps("resume"); !text.empty()) {
    out += "Resumed after step " + text + ". ";
  }
  if (!out.empty()) out = "<p class=\"quiet\">" + out + "</p>";
  std::string told;
  for (const TrainingEvent& event : events) {
    if (event.words.empty()) continue;
    told += fmt::format("<li>step {}: {}</li>", event.step, escape(event.words));
  }
  return told.empty() ? out : out + "<ul class=\"spikes\">" + told + "</ul>";
}

/// "2026-11-23 19:10:06".
std::string utc_text(double seconds) {
  const auto time = static_cast<std::time_t>(std::clamp(seconds, 0.0, 2.5e11));
  std::tm utc{};
  gmtime_r(&time, &utc);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

std::string seconds_text(double seconds) {
  return seconds < 100.0 ? fmt::format("{:.1f} s", std::max(seconds, 0.0))
                         : human_duration(std::min(seconds, 1e12));
}

std::string interruption_row(const Interruption& fault) {
  const std::string rank = fault.rank ? std::to_string(*fault.rank) : std::string("–");
  const std::string node = fault.node.empty() ? std::string("–") : escape(fault.node);
  std::string cost = "<td colspan=\"3\">not over yet</td>";
  if (fault.end == Interruption::End::kGivenUp) {
    cost = "<td colspan=\"3\" class=\"worse\">given up</td>";
  } else if (fault.end == Interruption::End::kRecovered) {
    cost = fmt::format(
        "<td>{}</td><td>{}</td><td>{}</td>", seconds_text(fault.seconds_down),
        count_text(static_cast<std::uint64_t>(std::max<std::int64_t>(0, fault.steps_lost))),
        seconds_text(fault.seconds_lost));
  }
  return fmt::format(
      "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"words what\">{}</td><td>{}</td>"
      "<td>{}</td><td>{}</td>{}</tr>",
      utc_text(fault.began), fault.step, escape(fault.what), rank, node,
      fault.detected_after ? "after " + seconds_text(*fault.detected_after) : std::string("–"),
      cost);
}

// When, what, which rank, steps lost, seconds lost.
std::string interruption_table(const std::vector<Interruption>& faults) {
  if (faults.empty()) return {};
  std::string rows;
  double down = 0.0;
  double lost = 0.0;
  std::int64_t steps = 0;
  std::size_t recovered = 0;
  for (const Interruption& fault : faults) {
    rows += interruption_row(fault);
    if (fault.end != Interruption::End::kRecovered) continue;
    ++recovered;
    down += fault.seconds_down;
    steps += fault.steps_lost;
    lost += fault.seconds_lost;
  }
  const std::string title =
      fmt::format("{} fault{}, {}recovered from without anybody’s help", faults.size(),
                  faults.size() == 1 ? "" : "s",
                  recovered < faults.size() ? fmt::format("{} ", recovered)
                                            : std::string(recovered == 1 ? "" : "all "));
  return fmt::format(
      "<h4>{}</h4><div class=\"scroll\"><table class=\"faults\"><thead><tr><th>when (UTC)</th>"
      "<th>steps done</th><th class=\"words\">what</th><th>rank</th><th>node</th><th>noticed</th>"
      "<th>down for</th><th>steps again</th><th>time lost</th></tr></thead><tbody>{}"
      "<tr class=\"total\"><th scope=\"row\">together</th><td></td><td></td><td></td><td></td>"
      "<td></td><td>{}</td><td>{}</td><td>{}</td></tr></tbody></table></div>",
      title, rows, seconds_text(down),
      count_text(static_cast<std::uint64_t>(std::max<std::int64_t>(0, steps))), seconds_text(lost));
}

std::string training_part(const TrainingFacts& training, std::size_t index) {
  std::string out =
      fmt::format("<h3>{}</h3>{}", training_title(training.name), training_facts(training));
  if (training.points.empty()) return out;
  const auto chart = [&](const char* id, const char* title, const char* width = "third") {
    return fmt::format(
        "<figure class=\"{}\"><figcaption>{}</figcaption><div class=\"chart\" "
        "style=\"height:{}rem\"><canvas "
        "id=\"chart-{}-{}\" role=\"img\" aria-label=\"{} by step; the table below has numbers\">"
        "</canvas></div></figure>",
        width, title, width == std::string_view("third") ? 12 : 17, id, index, title);
  };
  const bool has_sources = has_several_sources(training.points);
  const bool has_speed = std::any_of(training.points.begin(), training.points.end(),
                                     [](const auto& p) { return p.tokens_per_second.has_value(); });
  out += "<div class=\"curves\">" + chart("loss", "Loss", has_sources ? "half" : "whole") +
         (has_sources ? chart("sources", "Loss by source", "half") : "") +
         chart("lr", "Learning rate") + chart("grad_norm", "Gradient norm") +
         (has_speed ? chart("tokens_per_second", "Tokens a second") : "") + "</div>" +
         (has_sources ? source_table(training.points) : "") + event_list(training.events) +
         interruption_table(training.interruptions);
  return out + fmt::format(
                   "<details><summary>Some of its {} steps</summary><div class=\"scroll\"><table>"
                   "<thead><tr><th>step</th><th>loss</th><th>held-out loss</th><th>in the base’s "
                   "language</th><th>learning rate</th><th>gradient norm</th><th>tokens a second"
                   "</th></tr></thead><tbody>{}</tbody></table></div>"
                   "</details>",
                   count_text(training.points.size()), metric_rows(training.points));
}

}  // namespace

std::string training_title(const std::string& name) {
  return name == "base" ? "The base model’s own training" : "Fine-tuning";
}

std::string training_section(const RunFiles& run) {
  if (run.trainings.empty()) return {};
  std::string out = "<section id=\"training\"><h2>Training</h2>";
  for (std::size_t i = 0; i < run.trainings.size(); ++i) out += training_part(run.trainings[i], i);
  return out + "</section>";
}

}  // namespace nativo::report
