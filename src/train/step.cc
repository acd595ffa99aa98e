#include "train/step.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "train/training_memory.h"

namespace nativo::train {
namespace {

// `log_prob` [B,T] is that of the batch made of `rows`.
void add_source_losses(std::span<const Example> examples, std::span<const Row* const> rows,
                       std::int64_t length, std::span<const float> log_prob,
                       std::map<std::string, SourceLoss>& sources) {
  for (std::size_t r = 0; r < rows.size(); ++r) {
    auto cell = r * static_cast<std::size_t>(length);
    for (const Piece& piece : rows[r]->pieces) {
      const Example& example = examples[piece.example];
      SourceLoss& source = sources[example.source];
      for (std::int64_t i = 0; i < piece.length; ++i, ++cell) {
        if (example.loss_mask[static_cast<std::size_t>(piece.begin + i) + 1] == 0) continue;
        source.loss -= static_cast<double>(log_prob[cell]);
        ++source.targets;
      }
    }
  }
}

}  // namespace

std::optional<StepOutcome> run_batch(model::Decoder& decoder, const Optimizer& optimizer,
                                     std::span<const Example> examples,
                                     std::span<const Row* const> rows, const TrainOptions& options,
                                     std::int64_t step, const std::function<bool()>& stop) {
  StepOutcome outcome;
  for (const Row* row : rows) {
    outcome.targets += count_targets(examples, *row);
    outcome.tokens += row->used;
  }
  NATIVO_CHECK(outcome.targets > 0, "the packer keeps only pieces with targets");
  const auto scale = static_cast<float>(1.0 / static_cast<double>(outcome.targets));
  const auto micro = static_cast<std::size_t>(options.micro_batch);
  const model::Recompute recompute = training_shape(options).recompute;
  decoder.zero_gradients();
  double loss = 0.0;
  std::vector<float> log_prob;
  for (std::size_t at = 0; at < rows.size(); at += micro) {
    if (at > 0 && stop && stop()) return std::nullopt;
    const auto part = rows.subspan(at, std::min(micro, rows.size() - at));
    model::Batch batch = make_batch(examples, part, options.seq_len);
    batch.noise = {.seed = static_cast<std::uint64_t>(options.seed),
                   .step = static_cast<std::uint32_t>(step),
                   .first_row = static_cast<std::int64_t>(at)};
    log_prob.resize(batch.tokens.size());
    const model::LossSum sum =
        decoder.forward_backward(batch, {.scale = scale,
                                         .z_loss = options.z_loss,
                                         .label_smoothing = options.label_smoothing,
                                         .neftune_alpha = options.neftune_alpha,
                                         .log_prob = log_prob,
                                         .recompute = recompute});
    add_source_losses(examples, part, batch.length, log_prob, outcome.sources);
    loss += sum.loss;
    if (!std::isfinite(sum.loss) || !std::isfinite(sum.objective)) {
      outcome.suspects.assign(part.begin(), part.end());
      break;
    }
  }
  outcome.loss = loss / static_cast<double>(outcome.targets);
  outcome.gradient_norm = outcome.suspects.empty()
                              ? optimizer.gradient_norm(std::as_const(decoder).trainable())
                              : std::numeric_limits<double>::quiet_NaN();
  if (outcome.suspects.empty() && !std::isfinite(outcome.gradient_norm)) {
    outcome.suspects.assign(rows.begin(), rows.end());
  }
  return outcome;
}

}  // namespace nativo::train
