#include "train/monitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/process_memory.h"
#include "base/strings.h"

namespace nativo::train {

Monitor::Monitor(const MonitorSettings& settings, std::int64_t last_step)
    : settings_(settings),
      events_(settings.dir / "events.jsonl", settings.disk),
      started_(monotonic_seconds()) {
  open(last_step);
}

void Monitor::open(std::int64_t last_step) {
  const std::filesystem::path path = settings_.dir / "metrics.jsonl";
  metrics_.reset();
  metrics_.emplace(path, last_step, settings_.disk);
  tensorboard_.reset();
  tensorboard_.emplace(settings_.dir / "tensorboard", path, settings_.disk);
}

void Monitor::event(std::string_view name, std::int64_t step, const Json& detail) {
  events_.append(name, step, detail);
}

void Monitor::go_back(std::int64_t step) { open(step); }

void Monitor::append(const Json& line) {
  metrics_->append(line);
  tensorboard_->append(line);
}

void Monitor::before_training(const TrainState& state) {
  Json line = {{"step", 0}, {"time", unix_seconds()}, {"tokens", 0}, {"seconds", state.seconds}};
  if (state.eval_loss) line["eval_loss"] = *state.eval_loss;
  if (state.base_eval_loss) line["base_eval_loss"] = *state.base_eval_loss;
  append(line);
  say_heldout(state);
}

void Monitor::step(const TrainState& state, const StepOutcome& outcome, const StepFacts& facts) {
  ++batches_;
  Status status{
      .label = settings_.label,
      .step = state.step,
      .steps = settings_.steps,
      .loss = outcome.loss,
      .sources = outcome.sources,
      .lr = facts.lr,
      .gradient_norm = outcome.gradient_norm,
      .tokens_per_second = static_cast<double>(outcome.tokens) / std::max(facts.seconds, 1e-9),
      .memory = static_cast<double>(resident_bytes())};
  if (settings_.gemm_rate > 0.0) {
    status.percent_of_gemm =
        100.0 * facts.flops / std::max(facts.seconds, 1e-9) / settings_.gemm_rate;
  }
  status.seconds_left = static_cast<double>(settings_.steps - state.step) *
                        (monotonic_seconds() - started_) / static_cast<double>(batches_);

  Json line = {{"step", state.step},
               {"time", unix_seconds()},
               {"loss", outcome.loss},
               {"lr", facts.lr},
               {"grad_norm", outcome.gradient_norm},
               {"tokens", state.tokens},
               {"seconds", state.seconds},
               {"batch", facts.batch},
               {"tokens_per_second", status.tokens_per_second}};
  if (state.row_offset > 0) line["row_offset"] = state.row_offset;
  if (status.percent_of_gemm) line["percent_of_gemm"] = *status.percent_of_gemm;
  if (status.memory > 0.0) line["memory"] = status.memory;
  for (const auto& [name, source] : outcome.sources) {
    if (name.empty()) continue;
    line["sources"][name] = {{"loss", source.loss / static_cast<double>(source.targets)},
                             {"targets", source.targets}};
  }
  if (facts.evaluated && state.eval_loss) line["eval_loss"] = *state.eval_loss;
  if (facts.evaluated && state.base_eval_loss) line["base_eval_loss"] = *state.base_eval_loss;
  if (!spikes_.empty()) line["spikes"] = std::exchange(spikes_, Json::array());
  append(line);

  display_.show(status);
  if (facts.evaluated) say_heldout(state);
}

void Monitor::evaluated(const TrainState& state) {
  const std::string path = (settings_.dir / "metrics.jsonl").native();
  metrics_->sync();
  const std::string text = std::string(trim(io::read_file(path)));
  Json line = Json::parse(text.substr(text.rfind('\n') + 1), nullptr, false);  // npos + 1 = 0
  // Gone, or never written by a disk that was full.
  if (!line.is_object() || line.value("step", Json()) != state.step) return say_heldout(state);
  if (state.eval_loss) line["eval_loss"] = *state.eval_loss;
  if (state.base_eval_loss) line["base_eval_loss"] = *state.base_eval_loss;
  go_back(state.step - 1);
  append(line);
  say_heldout(state);
}

void Monitor::say_heldout(const TrainState& state) const {
  std::string text;
  const auto add = [&](const char* name, const std::optional<double>& loss,
                       const std::optional<double>& first) {
    if (!loss) return;
    text += fmt::format("  {} {:.4f}", name, *loss);
    if (first && state.step > 0) text += fmt::format(" ({:+.4f})", *loss - *first);
  };
  add("held-out loss", state.eval_loss, state.first_eval_loss);
  add("in the base's language", state.base_eval_loss, state.first_base_eval_loss);
  if (state.best && state.best->step == state.step && state.evaluations > 1) {
    text += "  the best so far";
  }
  log::info("{:<10} step {}{}", settings_.label, state.step, text);
}

}  // namespace nativo::train
