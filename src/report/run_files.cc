#include "report/run_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "io/file.h"

namespace nativo::report {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{256} << 20;

// A JSON object of a file, with errors that say which and where.
class Fields {
 public:
  Fields(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
    if (!json.is_object()) fail("", "an object is wanted");
  }

  [[noreturn]] void fail(std::string_view key, std::string_view what) const {
    throw Error(
        ExitCode::kData,
        fmt::format("{}: {}{}{}", printable(where_), printable(key), key.empty() ? "" : ": ", what),
        "remove the file, or run the step that writes it again");
  }

  /// Null when absent.
  [[nodiscard]] const Json& at(const char* key) const {
    static const Json kNull;
    const auto found = json_.find(key);
    return found == json_.end() ? kNull : *found;
  }
  [[nodiscard]] std::string text(const char* key) const {
    const Json& value = at(key);
    if (value.is_null()) return {};
    if (!value.is_string()) fail(key, "text is wanted");
    return value.get<std::string>();
  }
  [[nodiscard]] std::optional<double> number(const char* key) const {
    const Json& value = at(key);
    if (value.is_null()) return std::nullopt;
    if (!value.is_number()) fail(key, "a number is wanted");
    const double number = value.get<double>();
    return std::isfinite(number) ? std::optional(number) : std::nullopt;
  }
  [[nodiscard]] double needed(const char* key) const {
    const auto value = number(key);
    if (!value) fail(key, "a number is wanted");
    return *value;
  }
  [[nodiscard]] std::uint64_t count(const char* key) const {
    const Json& value = at(key);
    if (value.is_null()) return 0;
    return as_count(value, key);
  }
  [[nodiscard]] std::optional<std::uint64_t> maybe_count(const char* key) const {
    if (at(key).is_null()) return std::nullopt;
    return count(key);
  }
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> counts(const char* key) const {
    std::vector<std::pair<std::string, std::uint64_t>> result;
    const Json& value = at(key);
    if (value.is_null()) return result;
    if (!value.is_object()) fail(key, "an object of counts is wanted");
    for (const auto& [name, rows] : value.items()) result.emplace_back(name, as_count(rows, key));
    return result;
  }
  [[nodiscard]] Fields inner(const char* key) const { return {at(key), where_ + ": " + key}; }
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  [[nodiscard]] std::uint64_t as_count(const Json& value, const char* key) const {
    if (!value.is_number_unsigned()) fail(key, "a count is wanted");
    const auto count = value.get<std::uint64_t>();
    // Sums of these stay far inside 64 bits.
    if (count > std::uint64_t{1} << 53) fail(key, "a count this large cannot be");
    return count;
  }

  const Json& json_;
  std::string where_;
};

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::optional<Json> read_json(const fs::path& path) {
  if (!is_there(path)) return std::nullopt;
  return parse_json(io::read_file(path, kMaxFileBytes), printable(path.native()));
}

StageFacts read_stage(const Json& json, const std::string& name, const std::string& where) {
  const Fields fields(json, where);
  StageFacts stage;
  stage.name = name;
  stage.rows_in = fields.count("rows_in");
  stage.rows_added = fields.count("rows_added");
  stage.rows_out = fields.count("rows_out");
  stage.outputs = fields.counts("outputs");
  stage.rejects = fields.counts("rejects");
  std::stable_sort(stage.rejects.begin(), stage.rejects.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  for (const auto& [edge, rows] : fields.counts("length_histogram")) {
    std::int64_t lower = 0;
    const auto [end, error] = std::from_chars(edge.data(), edge.data() + edge.size(), lower);
    if (error != std::errc() || end != edge.data() + edge.size() || lower < 0 ||
        lower > std::int64_t{1} << 53) {
      fields.fail("length_histogram", "edges are whole numbers");
    }
    stage.lengths[lower] += rows;
  }
  stage.seconds = fields.number("seconds").value_or(0);
  if (const Json& detail = fields.at("detail"); detail.is_object()) {
    const auto tokens = detail.find("tokens");
    if (tokens != detail.end() && tokens->is_number_unsigned()) {
      stage.tokens = tokens->get<std::uint64_t>();
    }
  }
  return stage;
}

// Sources: licences and languages from the options that ingest was run with, rows from the details.
void read_sources(const Json& manifest, const std::string& where, bool is_ingest,
                  std::vector<SourceFacts>& sources) {
  const auto entry = [&sources](const std::string& name) -> SourceFacts& {
    for (SourceFacts& source : sources) {
      if (source.name == name) return source;
    }
    sources.emplace_back().name = name;
    return sources.back();
  };
  const auto each = [&](const char* part, const char* key, const auto& use) {
    const Json& outer = Fields(manifest, where).at(part);
    if (!outer.is_object() || !outer.contains(key) || !outer[key].is_object()) return;
    for (const auto& [name, json] : outer[key].items()) {
      if (json.is_object()) use(Fields(json, where + ": " + part + "." + key + "." + name), name);
    }
  };
  if (is_ingest) {
    each("options", "source", [&](const Fields& fields, const std::string& name) {
      SourceFacts& source = entry(name);
      source.licence = fields.text("licence");
      source.lang = fields.text("lang");
    });
  }
  each("detail", "sources", [&](const Fields& fields, const std::string& name) {
    SourceFacts& source = entry(name);
    if (source.licence.empty()) source.licence = fields.text("licence");
    if (source.lang.empty()) source.lang = fields.text("lang");
    if (is_ingest || !source.rows) {
      const auto rows = fields.maybe_count("rows_out");
      source.rows = rows && is_ingest ? rows : fields.maybe_count("rows_in");
    }
    if (!is_ingest) source.kept = fields.maybe_count("rows_out");
  });
}

// Calls `use` with each whole line of a JSONL file; a torn last one is left out: it is being
// written.
template <class Use>
void each_line(const fs::path& path, const Use& use) {
  if (!is_there(path)) return;
  const std::string bytes = io::read_file(path, kMaxFileBytes);
  std::size_t number = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = bytes.find('\n', at);
    if (end == std::string::npos) break;
    const std::string where = fmt::format("{}:{}", path.native(), ++number);
    const Json json = parse_json(std::string_view(bytes).substr(at, end - at), printable(where));
    use(Fields(json, where));
    at = end + 1;
  }
}

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

Estimate read_estimate(const Fields& fields, const char* key, const char* value) {
  const Fields inner(fields.at(key), fields.where() + ": " + key);
  Estimate estimate{inner.needed(value), inner.number("low"), inner.number("high")};
  if (!estimate.low || !estimate.high) estimate.low = estimate.high = std::nullopt;
  return estimate;
}

TaskFacts read_task(const Json& json, const std::string& where) {
  const Fields fields(json, where);
  TaskFacts task;
  task.name = fields.text("name");
  task.kind = fields.text("kind");
  task.metric = fields.text("metric");
  const Json& higher = fields.at("higher_is_better");
  task.higher_is_better = !higher.is_boolean() || higher.get<bool>();
  task.items = fields.count("items");
  task.base = read_estimate(fields, "base", "value");
  task.tuned = read_estimate(fields, "tuned", "value");
  task.difference = read_estimate(fields, "difference", "points");
  task.relative = Fields(fields.at("difference"), where + ": difference").number("relative");
  return task;
}

void read_evaluation(const fs::path& path, RunFiles& run) {
  const auto json = read_json(path);
  if (!json) return;
  const Fields fields(*json, path.native());
  run.confidence = std::clamp(fields.number("confidence").value_or(0.95), 0.0, 1.0);
  const Json& tasks = fields.at("tasks");
  if (!tasks.is_array()) fields.fail("tasks", "a list is wanted");
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    run.tasks.push_back(read_task(tasks[i], fmt::format("{}: tasks[{}]", path.native(), i)));
  }
  if (const Json& average = fields.at("average"); average.is_object()) {
    run.average = read_task(average, path.native() + ": average");
    run.average->metric = "average";
  }
}

void read_dialogues(const fs::path& path, RunFiles& run) {
  const auto json = read_json(path);
  if (!json) return;
  const Fields fields(*json, path.native());
  const Json& dialogues = fields.at("dialogues");
  if (!dialogues.is_array()) fields.fail("dialogues", "a list is wanted");
  for (std::size_t i = 0; i < dialogues.size(); ++i) {
    const Fields one(dialogues[i], fmt::format("{}: dialogues[{}]", path.native(), i));
    run.dialogues.push_back({one.text("prompt"), one.text("base"), one.text("tuned")});
  }
}

std::string failures_text(const Json& failures, const std::string& where) {
  std::string text;
  if (!failures.is_array()) return text;
  for (const Json& failure : failures) {
    const Fields fields(failure, where);
    text += fmt::format("{}{}: {} {}", text.empty() ? "; failed before: " : ", ",
                        fields.text("step"), fields.text("rule"), fields.text("value"));
  }
  return text;
}

std::vector<TranslationPair> read_pairs(const Json& json, const char* key,
                                        const std::string& where) {
  std::vector<TranslationPair> pairs;
  const Json& list = Fields(json, where).at(key);
  if (!list.is_array()) return pairs;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Fields one(list[i], fmt::format("{}: {}[{}]", where, key, i));
    TranslationPair pair{one.text("source"), one.text("translation"), one.text("step")};
    if (pair.note.empty()) pair.note = one.text("rule") + ": " + one.text("value");
    if (const auto ratio = one.number("length_ratio"); ratio && *ratio > 0) {
      pair.note += fmt::format(", length {:.2f}", *ratio);
    }
    if (const auto unknown = one.number("unknown_words"); unknown && *unknown > 0) {
      pair.note += fmt::format(", {:.0f} % unknown words", 100.0 * *unknown);
    }
    if (const auto back = one.number("round_trip")) {
      pair.note += fmt::format(", round trip chrF2 {:.0f}", *back);
    }
    pair.note += failures_text(one.at("failures"), one.where() + ": failures");
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

/// "argos", or all of a ladder's engines.
std::string engines_text(const Json& engine) {
  if (engine.is_string()) return engine.get<std::string>();
  std::string text;
  if (!engine.is_array()) return text;
  for (const Json& name : engine) {
    if (name.is_string()) text += (text.empty() ? "" : ", ") + name.get<std::string>();
  }
  return text;
}

/// Lower edges and their rows, in order; empty when there is none.
std::vector<std::pair<double, std::uint64_t>> histogram_of(const Fields& fields, const char* key) {
  std::vector<std::pair<double, std::uint64_t>> rows_from;
  for (const auto& [edge, rows] : fields.counts(key)) {
    double lower = 0;
    const auto [end, error] = std::from_chars(edge.data(), edge.data() + edge.size(), lower);
    if (error != std::errc() || end != edge.data() + edge.size() || !(lower >= 0 && lower <= 100)) {
      fields.fail(key, "edges are numbers");
    }
    rows_from.emplace_back(lower, rows);
  }
  std::ranges::sort(rows_from);
  return rows_from;
}

void read_translation(const fs::path& folder, RunFiles& run) {
  const fs::path path = folder / "stages" / "translate" / "manifest.json";
  const auto manifest = read_json(path);
  if (!manifest) return;
  const Json& detail = Fields(*manifest, path.native()).at("detail");
  if (!detail.is_object() || !detail.contains("rows_by_step")) return;
  const Fields fields(detail, path.native() + ": detail");
  TranslationFacts facts;
  facts.engine = engines_text(fields.at("engine"));
  facts.rows_by_step = fields.counts("rows_by_step");
  if (const Json& failures = fields.at("failures"); failures.is_object()) {
    for (const auto& [step, rules] : failures.items()) {
      facts.failures.emplace_back(step, fields.inner("failures").counts(step.c_str()));
    }
  }
  facts.length_ratios = histogram_of(fields, "length_ratio");
  facts.round_trips = histogram_of(fields, "round_trip");
  const fs::path review_path = folder / "translation-review.json";
  const auto review = read_json(review_path);
  // Of another translation than the manifest's it says nothing.
  if (review && Fields(*review, review_path.native()).text("key") ==
                    Fields(*manifest, path.native()).text("key")) {
    facts.worst = read_pairs(*review, "worst", review_path.native());
    facts.rejected = read_pairs(*review, "rejected", review_path.native());
  }
  run.translation = std::move(facts);
}

// `key = "value"` of [section], as nativo writes its lock file; "" when it is not there.
std::string lock_value(std::string_view lock, std::string_view section, std::string_view key) {
  std::string_view current;
  for (const std::string_view raw : split(lock, '\n')) {
    const std::string_view line = trim(raw);
    if (line.starts_with('[') && line.ends_with(']')) {
      current = line.substr(1, line.size() - 2);
    } else if (current == section && line.starts_with(key)) {
      std::string_view rest = trim(line.substr(key.size()));
      if (!rest.starts_with('=')) continue;
      rest = trim(rest.substr(1));
      if (rest.size() >= 2 && (rest.front() == '"' || rest.front() == '\'') &&
          rest.back() == rest.front()) {
        return std::string(rest.substr(1, rest.size() - 2));
      }
    }
  }
  return {};
}

}  // namespace

std::uint64_t StageFacts::rejected() const {
  std::uint64_t sum = 0;
  for (const auto& [rule, rows] : rejects) sum += rows;
  return sum;
}

bool TaskFacts::is_share() const {
  return metric.starts_with("acc") || metric == "em" || metric == "f1" || metric == "average" ||
         metric == "accuracy" || metric == "exact_match";
}

int TaskFacts::verdict() const {
  if (!difference.low || !difference.high) return 0;
  const int sign = *difference.low > 0 ? 1 : *difference.high < 0 ? -1 : 0;
  return higher_is_better ? sign : -sign;
}

std::optional<bool> TaskFacts::intervals_overlap() const {
  if (!base.low || !tuned.low) return std::nullopt;
  return *base.low <= *tuned.high && *tuned.low <= *base.high;
}

RunFiles read_run(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw Error(ExitCode::kMissingInput,
                fmt::format("{}: no such run folder", printable(folder.native())),
                "give the folder that [run] dir names");
  }
  RunFiles run;
  for (const char* name : {"ingest", "dedup_sources", "translate", "filter", "dedup", "mix"}) {
    const fs::path path = folder / "stages" / name / "manifest.json";
    const auto json = read_json(path);
    if (!json) continue;
    run.stages.push_back(read_stage(*json, name, path.native()));
    const bool is_ingest = run.stages.back().name == "ingest";
    if (is_ingest || run.stages.back().name == "filter") {
      read_sources(*json, path.native(), is_ingest, run.sources);
    }
  }
  const auto add_training = [&run](const char* name, const fs::path& path) {
    TrainingFacts training{.name = name,
                           .points = read_metrics(path / "metrics.jsonl"),
                           .events = read_events(path / "events.jsonl"),
                           .interruptions = read_interruptions(path / "events.jsonl"),
                           .summary = read_summary(path / "summary.json")};
    if (!training.points.empty() || !training.summary.empty()) {
      run.trainings.push_back(std::move(training));
    }
  };
  add_training("base", folder / "base");
  add_training("train", folder / "train");
  add_training("train", folder);
  read_evaluation(folder / "eval" / "comparison.json", run);
  read_dialogues(folder / "eval" / "dialogues.json", run);
  read_translation(folder, run);
  const fs::path lock = folder / "nativo.lock.toml";
  if (is_there(lock)) {
    run.lock = io::read_file(lock, kMaxFileBytes);
    run.language = lock_value(run.lock, "run", "language");
    run.base_model = lock_value(run.lock, "model", "base");
  }
  return run;
}

}  // namespace nativo::report
