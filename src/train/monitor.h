// Tells of a training as it goes: metrics.jsonl, TensorBoard's event file, events.jsonl and the
// line on the terminal. Formats: docs/formats/training-metrics.md.
// Rule: it watches; nothing of the training depends on it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "io/file.h"
#include "train/events.h"
#include "train/metrics.h"
#include "train/status.h"
#include "train/step.h"
#include "train/tensorboard.h"
#include "train/train_state.h"

namespace nativo::train {

/// Whose training, and where its files are.
struct MonitorSettings {
  std::string label;
  std::filesystem::path dir;
  std::int64_t steps = 0;
  double gemm_rate = 0.0;  ///< operations a second, see flops.h; 0 = unknown
  io::Disk& disk;
};

/// What a step was, beside what it computed.
struct StepFacts {
  std::string batch;  ///< batch_digest() of its rows
  double lr = 0.0;
  double seconds = 0.0;    ///< of forward, backward and update
  double flops = 0.0;      ///< see step_flops()
  bool evaluated = false;  ///< the state's held-out losses are of this step
};

class Monitor {
 public:
  /// Lines of steps beyond `last_step` are dropped (-1 = all lines).
  Monitor(const MonitorSettings& settings, std::int64_t last_step);

  /// Appends to events.jsonl.
  void event(std::string_view name, std::int64_t step, const Json& detail = Json::object());

  /// The run went back to `step`: what was measured after it is dropped.
  void go_back(std::int64_t step);

  /// The next line of the metrics is to have this among its `spikes`.
  void add_spike(Json spike) { spikes_.push_back(std::move(spike)); }

  /// The held-out losses before training, as line 0.
  void before_training(const TrainState& state);

  void step(const TrainState& state, const StepOutcome& outcome, const StepFacts& facts);

  /// The held-out losses of a step whose line is written already: it gets them.
  void evaluated(const TrainState& state);

  /// The metrics to stable storage.
  void sync() { metrics_->sync(); }

 private:
  void open(std::int64_t last_step);
  void append(const Json& line);
  void say_heldout(const TrainState& state) const;

  MonitorSettings settings_;
  std::optional<MetricsLog> metrics_;
  std::optional<TensorboardWriter> tensorboard_;
  EventLog events_;
  StatusDisplay display_;
  Json spikes_ = Json::array();
  double started_;
  std::int64_t batches_ = 0;  ///< since the start
};

}  // namespace nativo::train
