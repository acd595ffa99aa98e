// Steps that must not be taken as they are: a loss or gradient that is not finite, or a loss far
// above those before it; and what becomes of them.
// Rule: decided by what the run has computed alone, so that a resumed run decides the same.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "train/example.h"
#include "train/options.h"
#include "train/packer.h"
#include "train/step.h"

namespace nativo::train {

/// Losses that are remembered to judge the next one.
inline constexpr std::size_t kLossWindow = 64;
/// With fewer than this many, only what is not finite is a spike.
inline constexpr std::size_t kFewestLosses = 16;

/// train.on_spike
enum class SpikePolicy { kStop, kSkip, kRollback };

/// Throws Error(kConfig) for another text than "stop", "skip", "rollback".
[[nodiscard]] SpikePolicy spike_policy(const std::string& option);

struct Spike {
  std::int64_t step = 0;
  std::string what;    ///< "loss" or "gradient norm"
  double value = 0.0;  ///< of it
  double limit = 0.0;  ///< what it should have stayed below; infinity when it is not finite
  std::vector<std::string> examples = {};  ///< ids, in the order of the batch, each once
  std::vector<std::string> sources = {};   ///< of these, sorted; without the unnamed one
};

/// The spike that `outcome`, of `step` with `rows`, is; nothing when it is none. A loss is one
/// above
///   mean + spike_sigma * max(deviation, 0.01 * mean)
/// of `recent`, the losses of the last updates, when spike_sigma > 0 and there are enough of them.
[[nodiscard]] std::optional<Spike> find_spike(const StepOutcome& outcome, std::int64_t step,
                                              std::span<const Row* const> rows,
                                              std::span<const Example> examples,
                                              std::span<const double> recent, double spike_sigma);

/// Appends `loss`; drops the oldest beyond kLossWindow.
void remember_loss(std::vector<double>& recent, double loss);

/// "step 7: the loss is nan; examples: a, b, c and 5 more (sources: qa, code)".
[[nodiscard]] std::string describe(const Spike& spike);

/// As metrics.jsonl and events.jsonl have it (docs/formats/training-metrics.md): step, what, value
/// (null when not finite), limit, examples (at most 32), sources.
[[nodiscard]] Json to_json(const Spike& spike);

}  // namespace nativo::train
