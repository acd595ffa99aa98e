#include "report/run_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "report/run_fields.h"
#include "report/run_parts.h"

namespace nativo::report {
namespace fs = std::filesystem;
namespace {

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
  read_trainings(folder, run);
  read_evaluation(folder / "eval" / "comparison.json", run);
  read_dialogues(folder / "eval" / "dialogues.json", run);
  read_translation(folder, run);
  const fs::path lock = folder / "nativo.lock.toml";
  if (is_there(lock)) {
    run.lock = read_run_file(lock);
    run.language = lock_value(run.lock, "run", "language");
    run.base_model = lock_value(run.lock, "model", "base");
  }
  return run;
}

}  // namespace nativo::report
