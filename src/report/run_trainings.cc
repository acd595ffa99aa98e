// Metrics, events and summaries of trainings. See run_files.h.
#include <fmt/format.h>

#include <algorithm>

#include "report/run_fields.h"
#include "report/run_parts.h"

namespace nativo::report {
namespace fs = std::filesystem;
namespace {

std::int64_t read_step(const Fields& fields) {
  const double step = fields.needed("step");
  if (step < 0 || step > 1e15) fields.fail("step", "a step is wanted");
  return static_cast<std::int64_t>(step);
}

std::int64_t whole_number(double value) {
  return static_cast<std::int64_t>(std::clamp(value, -1.0, 1e15));
}

std::vector<MetricPoint> read_metrics(const fs::path& path) {
  std::vector<MetricPoint> points;
  each_line(path, [&](const Fields& fields) {
    MetricPoint point;
    point.step = read_step(fields);
    point.loss = fields.number("loss");
    point.lr = fields.number("lr");
    point.grad_norm = fields.number("grad_norm");
    point.eval_loss = fields.number("eval_loss");
    point.base_eval_loss = fields.number("base_eval_loss");
    point.tokens = fields.number("tokens");
    point.seconds = fields.number("seconds");
    point.tokens_per_second = fields.number("tokens_per_second");
    point.percent_of_gemm = fields.number("percent_of_gemm");
    if (const Json& sources = fields.at("sources"); sources.is_object()) {
      for (const auto& [name, json] : sources.items()) {
        const auto loss = Fields(json, fields.where() + ": sources." + name).number("loss");
        if (loss) point.sources[name] = *loss;
      }
    }
    points.push_back(std::move(point));
  });
  return points;
}

std::string spike_words(const Fields& fields) {
  const auto value = fields.number("value");
  const auto limit = fields.number("limit");
  std::string words = fields.text("what") + " ";
  words += value ? fmt::format("{:.4g}", *value) : std::string("not finite");
  if (limit) words += fmt::format(", beyond the usual {:.4g}", *limit);
  const std::string action = fields.text("action");
  if (action == "skip") words += "; step skipped";
  if (action == "stop") words += "; run stopped";
  if (action == "rollback") {
    words += fmt::format("; back to step {:.0f}", fields.number("to").value_or(0));
  }
  return words;
}

// What a supervisor did beside restarts (docs/formats/launch.md).
std::string supervisor_words(const std::string& kind, const Fields& fields) {
  const std::string what = fields.text("what");
  if (kind == "node_excluded")
    return fmt::format("node {} left out: {}", fields.text("node"), what);
  if (kind == "grow") return "grows: " + what;
  return kind == "requeue" ? "queued again: " + what : std::string();
}

std::vector<Interruption> read_interruptions(const fs::path& path) {
  std::vector<Interruption> all;
  const auto is_open = [&] { return !all.empty() && all.back().end == Interruption::End::kOpen; };
  each_line(path, [&](const Fields& fields) {
    const std::string kind = fields.text("event");
    if (kind == "fault" || ((kind == "recovery" || kind == "failed") && !is_open())) {
      // A fault on the way back from one is a part of it.
      if (is_open()) return;
      Interruption fault{.step = read_step(fields), .what = fields.text("what")};
      fault.began = fields.number("began").value_or(fields.number("time").value_or(0.0));
      if (const auto rank = fields.number("rank")) fault.rank = whole_number(*rank);
      fault.node = fields.text("node");
      fault.detected_after = fields.number("detected_after");
      all.push_back(std::move(fault));
    }
    if (kind == "failed") all.back().end = Interruption::End::kGivenUp;
    if (kind != "recovery") return;
    Interruption& over = all.back();
    over.end = Interruption::End::kRecovered;
    over.seconds_down = fields.number("seconds_down").value_or(0.0);
    over.steps_lost = whole_number(fields.number("steps_lost").value_or(0.0));
    over.seconds_lost = fields.number("seconds_lost").value_or(over.seconds_down);
  });
  return all;
}

// Those that a chart marks or that people are told of, in the order in which they happened; what
// was run again stands there once.
std::vector<TrainingEvent> read_events(const fs::path& path) {
  std::vector<TrainingEvent> events;
  each_line(path, [&](const Fields& fields) {
    TrainingEvent event{.kind = fields.text("event"), .step = read_step(fields)};
    event.words =
        event.kind == "spike" ? spike_words(fields) : supervisor_words(event.kind, fields);
    if (event.kind != "checkpoint" && event.kind != "resume" && event.words.empty()) return;
    const bool known = std::any_of(events.begin(), events.end(), [&](const TrainingEvent& other) {
      return other.kind == event.kind && other.step == event.step && other.words == event.words;
    });
    if (!known) events.push_back(std::move(event));
  });
  return events;
}

// Numbers of the summary, one level deep: {"loss": {"first": 1}} is ("loss.first", 1).
std::vector<std::pair<std::string, double>> read_summary(const fs::path& path) {
  std::vector<std::pair<std::string, double>> numbers;
  const auto json = read_json(path);
  if (!json) return numbers;
  const Fields checked(*json, path.native());
  for (const auto& [key, value] : json->items()) {
    if (value.is_number()) numbers.emplace_back(key, value.get<double>());
    if (!value.is_object()) continue;
    for (const auto& [inner, number] : value.items()) {
      if (number.is_number()) numbers.emplace_back(key + "." + inner, number.get<double>());
    }
  }
  return numbers;
}

void read_training(const char* name, const fs::path& path, RunFiles& run) {
  TrainingFacts training{.name = name,
                         .points = read_metrics(path / "metrics.jsonl"),
                         .events = read_events(path / "events.jsonl"),
                         .interruptions = read_interruptions(path / "events.jsonl"),
                         .summary = read_summary(path / "summary.json")};
  if (!training.points.empty() || !training.summary.empty()) {
    run.trainings.push_back(std::move(training));
  }
}

}  // namespace

void read_trainings(const fs::path& folder, RunFiles& run) {
  read_training("base", folder / "base", run);
  read_training("train", folder / "train", run);
  read_training("train", folder, run);
}

}  // namespace nativo::report
