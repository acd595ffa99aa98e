#include "train/step.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/heartbeat.h"
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

/// What a rank has to say of its share of a step.
struct Share {
  bool stopped = false;
  double loss = 0.0;         ///< sum of -log p
  dist::Part suspects = {};  ///< rows of the step whose loss is not finite
};

/// Ranks that hold one model together stop together.
bool asks_to_stop(DataParallel& parallel, const std::function<bool()>& stop) {
  const bool mine = stop && stop();
  dist::Communicator& ranks = parallel.grid().tensor();
  return ranks.size() == 1 ? mine : dist::any_rank(ranks, mine);
}

/// The shares of all ranks, by rank.
std::vector<Share> exchange(dist::Communicator& ranks, const Share& mine) {
  const double numbers[] = {mine.stopped ? 1.0 : 0.0, mine.loss,
                            static_cast<double>(mine.suspects.begin),
                            static_cast<double>(mine.suspects.count)};
  const std::vector<double> all = dist::all_gather_numbers(ranks, numbers);
  std::vector<Share> shares;
  for (std::size_t at = 0; at < all.size(); at += std::size(numbers)) {
    shares.push_back(
        {all[at] != 0.0,
         all[at + 1],
         {static_cast<std::size_t>(all[at + 2]), static_cast<std::size_t>(all[at + 3])}});
  }
  return shares;
}

/// Every rank has the sources of all rows; afterwards every rank has their sums.
void add_up_sources(dist::Communicator& ranks, std::span<const Example> examples,
                    std::span<const Row* const> rows, std::map<std::string, SourceLoss>& sources) {
  if (ranks.size() == 1) return;
  for (const Row* row : rows) {
    for (const Piece& piece : row->pieces) sources[examples[piece.example].source];
  }
  std::vector<double> losses;
  std::vector<std::int64_t> targets;
  for (const auto& [name, source] : sources) {
    losses.push_back(source.loss);
    targets.push_back(source.targets);
  }
  ranks.all_reduce(std::span(losses));
  ranks.all_reduce(std::span(targets));
  std::size_t i = 0;
  for (auto& [name, source] : sources) {
    source = {losses[i], targets[i]};
    ++i;
  }
}

}  // namespace

std::optional<StepOutcome> run_batch(model::Decoder& decoder, DataParallel& parallel,
                                     std::span<const Example> examples,
                                     std::span<const Row* const> rows, const TrainOptions& options,
                                     std::int64_t step, const std::function<bool()>& stop,
                                     const LayerUpdate& update_layer) {
  StepOutcome outcome;
  for (const Row* row : rows) {
    outcome.targets += count_targets(examples, *row);
    outcome.tokens += row->used;
  }
  NATIVO_CHECK(outcome.targets > 0, "the packer keeps only pieces with targets");
  const auto scale = static_cast<float>(1.0 / static_cast<double>(outcome.targets));
  const auto micro = static_cast<std::size_t>(options.micro_batch);
  const model::TrainingShape shape = training_shape(options);
  const dist::Part share = parallel.share(rows.size());
  const std::size_t end = share.begin + share.count;
  GradientSums& gradients = parallel.gradients();
  gradients.zero();
  Share mine;
  std::vector<float> log_prob;
  const std::size_t rounds = parallel.rounds(rows.size(), micro);
  bool goes_on = true;  // ranks that do not, or have no more rows, are in the sums all the same
  for (std::size_t round = 0; round < rounds; gradients.end_round(++round == rounds)) {
    const std::size_t at = share.begin + round * micro;
    const bool is_last = round + 1 == rounds;
    if (goes_on && at < end && round > 0 && asks_to_stop(parallel, stop)) {
      mine.stopped = true;
      goes_on = false;
    }
    if (!goes_on || at >= end) {
      model::StepOptions how;
      gradients.observe(how, is_last);
      decoder.attend_forward_backward(how);
      continue;
    }
    heartbeat::tick();
    const dist::Part range{at, std::min(micro, end - at)};
    const auto part = rows.subspan(range.begin, range.count);
    model::Batch batch = make_batch(examples, part, options.seq_len);
    batch.noise = {.seed = static_cast<std::uint64_t>(options.seed),
                   .step = static_cast<std::uint32_t>(step),
                   .first_row = static_cast<std::int64_t>(at)};
    log_prob.resize(batch.tokens.size());
    model::StepOptions how{.scale = scale,
                           .z_loss = options.z_loss,
                           .label_smoothing = options.label_smoothing,
                           .neftune_alpha = options.neftune_alpha,
                           .log_prob = log_prob,
                           .recompute = shape.recompute,
                           .offload_inputs = shape.offload_inputs};
    gradients.observe(how, is_last);
    if (update_layer) {
      NATIVO_CHECK(rounds == 1 && parallel.is_alone(), "one micro-batch of one rank");
      parallel.norm().begin();
      how.layer_done = [&](std::int64_t layer) {
        parallel.add_to_norm(layer);
        update_layer(layer);
      };
    }
    const model::LossSum sum = decoder.forward_backward(batch, how);
    add_source_losses(examples, part, batch.length, log_prob, outcome.sources);
    mine.loss += sum.loss;
    if (!std::isfinite(sum.loss) || !std::isfinite(sum.objective)) {
      mine.suspects = range;
      goes_on = false;
    }
  }
  parallel.finish_gradients();
  double loss = 0.0;
  for (const Share& of : exchange(parallel.grid().data(), mine)) {
    if (of.stopped) mine.stopped = true;
    loss += of.loss;
    const auto suspects = rows.subspan(of.suspects.begin, of.suspects.count);
    outcome.suspects.insert(outcome.suspects.end(), suspects.begin(), suspects.end());
  }
  if (mine.stopped) return std::nullopt;
  add_up_sources(parallel.grid().data(), examples, rows, outcome.sources);
  outcome.loss = loss / static_cast<double>(outcome.targets);
  outcome.gradient_norm = !outcome.suspects.empty() ? std::numeric_limits<double>::quiet_NaN()
                          : update_layer            ? parallel.norm().finish(parallel.grid())
                                                    : parallel.gradient_norm();
  if (outcome.suspects.empty() && !std::isfinite(outcome.gradient_norm)) {
    outcome.suspects.assign(rows.begin(), rows.end());
  }
  return outcome;
}

LayerUpdate WeightUpdate::by_layers() const {
  if (!in_backward) return {};
  return [*this](std::int64_t layer) {
    optimizer.update_layer(decoder.trainable(), layer, number, lr);
  };
}

void WeightUpdate::finish(double gradient_norm) const {
  if (in_backward) return optimizer.end_layers();
  optimizer.update(decoder.trainable(), parallel.updated_gradients(), number, lr, gradient_norm);
  parallel.gather_parameters();
}

}  // namespace nativo::train
