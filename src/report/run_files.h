// What a run folder holds, read and checked. Everything is optional; what is there must be right.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nativo::report {

/// stages/NAME/manifest.json
struct StageFacts {
  std::string name;
  std::uint64_t rows_in = 0;
  std::uint64_t rows_added = 0;
  std::uint64_t rows_out = 0;
  std::vector<std::pair<std::string, std::uint64_t>> outputs;
  std::vector<std::pair<std::string, std::uint64_t>> rejects;  ///< most frequent first
  std::map<std::int64_t, std::uint64_t> lengths;               ///< lower edge -> rows, characters
  std::optional<std::uint64_t> tokens;                         ///< detail.tokens, when counted
  double seconds = 0;
  [[nodiscard]] std::uint64_t rejected() const;
};

/// One source of records, from the manifests of ingest and filter.
struct SourceFacts {
  std::string name;
  std::string licence;
  std::string lang;
  std::optional<std::uint64_t> rows;  ///< as read
  std::optional<std::uint64_t> kept;  ///< by the filter
};

/// One line of metrics.jsonl; what a line does not say is empty.
struct MetricPoint {
  std::int64_t step = 0;
  std::optional<double> loss, lr, grad_norm, eval_loss, base_eval_loss, tokens, seconds,
      tokens_per_second, percent_of_gemm;
  std::map<std::string, double> sources = {};  ///< loss by source
};

/// One line of events.jsonl: "checkpoint", "resume" and "spike", which a chart marks, and what a
/// supervisor did beside restarts ("node_excluded", "requeue", "grow").
struct TrainingEvent {
  std::string kind;
  std::int64_t step = 0;
  std::string words = {};  ///< what was wrong and what was done, for people; "" = the kind says it

  [[nodiscard]] bool is_marked() const {
    return kind == "checkpoint" || kind == "resume" || kind == "spike";
  }
};

/// A fault that a supervisor noticed, and what became of it: "fault", "recovery" and "failed" of
/// events.jsonl (docs/formats/launch.md).
struct Interruption {
  enum class End { kOpen, kRecovered, kGivenUp };
  double began = 0.0;     ///< Unix seconds: the last sign of progress
  std::int64_t step = 0;  ///< done by then
  std::string what = {};
  std::optional<std::int64_t> rank = {};
  std::string node = {};  ///< "" = not known
  std::optional<double> detected_after = {};
  End end = End::kOpen;
  double seconds_down = 0.0;    ///< until training went on
  std::int64_t steps_lost = 0;  ///< done again
  double seconds_lost = 0.0;    ///< both together
};

/// {base,train}/: metrics.jsonl, events.jsonl and summary.json
struct TrainingFacts {
  std::string name;  ///< "base" or "train"
  std::vector<MetricPoint> points;
  std::vector<TrainingEvent> events = {};
  std::vector<Interruption> interruptions = {};
  std::vector<std::pair<std::string, double>> summary;  ///< its numbers, in the file's order
};

struct Estimate {
  double value = 0;
  std::optional<double> low, high;
};

/// One entry of eval/comparison.json.
struct TaskFacts {
  std::string name, kind, metric;
  bool higher_is_better = true;
  std::uint64_t items = 0;
  Estimate base, tuned;
  Estimate difference;  ///< in points for shares, else in plain units
  std::optional<double> relative;
  /// A share in [0, 1], shown in percent.
  [[nodiscard]] bool is_share() const;
  /// +1 when the difference's interval lies on the better side of 0, -1 on the worse, else 0.
  [[nodiscard]] int verdict() const;
  /// Whether the two models' own intervals have a point in common; empty when they are not known.
  [[nodiscard]] std::optional<bool> intervals_overlap() const;
};

struct Dialogue {
  std::string prompt, base, tuned;
};

/// A translation and what it was made of, or a row that was rejected ("" = its translation).
struct TranslationPair {
  std::string source, translation;
  std::string note;  ///< engine and figures, or rule and value; and what failed on the way
};

/// What the stage translate says of itself in its manifest, and translation-review.json.
struct TranslationFacts {
  std::string engine;  ///< "argos, llm"
  std::vector<std::pair<std::string, std::uint64_t>> rows_by_step;
  /// By step, the rules that sent rows up or out.
  std::vector<std::pair<std::string, std::vector<std::pair<std::string, std::uint64_t>>>> failures;
  std::vector<std::pair<double, std::uint64_t>> length_ratios;  ///< lower edge of a tenth -> rows
  std::vector<std::pair<double, std::uint64_t>> round_trips;    ///< lower edge of five -> rows
  std::vector<TranslationPair> worst, rejected;
};

struct RunFiles {
  std::vector<StageFacts> stages;
  std::vector<SourceFacts> sources;
  std::vector<TrainingFacts> trainings;
  std::vector<TaskFacts> tasks;
  std::optional<TaskFacts> average;
  double confidence = 0.95;
  std::vector<Dialogue> dialogues;
  std::optional<TranslationFacts> translation;
  std::string lock;                  ///< nativo.lock.toml
  std::string language, base_model;  ///< as the lock says, or empty
};

/// Throws as render_report() does.
[[nodiscard]] RunFiles read_run(const std::filesystem::path& folder);

}  // namespace nativo::report
