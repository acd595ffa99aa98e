// One optimizer step: loss and gradients of its batch, however it is cut into micro-batches, and
// the update of the weights. Not here: which rows a step has, whether it is taken (trainer.cc).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/decoder.h"
#include "train/data_parallel.h"
#include "train/example.h"
#include "train/optimizer.h"
#include "train/options.h"
#include "train/packer.h"

namespace nativo::train {

/// Of one source's targets in a step.
struct SourceLoss {
  double loss = 0.0;  ///< sum of -log p
  std::int64_t targets = 0;
};

struct StepOutcome {
  double loss = 0.0;           ///< mean a target over the whole step; not finite = broken off there
  double gradient_norm = 0.0;  ///< of the whole gradient, before clipping; NaN when broken off
  std::int64_t targets = 0;
  std::int64_t tokens = 0;                         ///< input tokens, padding not counted
  std::map<std::string, SourceLoss> sources = {};  ///< by Example::source, those in the step
  std::vector<const Row*> suspects = {};  ///< when something is not finite: the rows it came from
};

/// Updates a layer's weights (Parameter::layer) while their gradient is there.
using LayerUpdate = std::function<void(std::int64_t layer)>;

/// Overwrites the gradients of `decoder` with those of the mean loss over all targets of `rows`,
/// which are the batch of `step`: each rank computes its share of them, and gets the sums of
/// DataParallel::finish_gradients(). `stop` (may be empty) is asked between micro-batches; after a
/// yes on any rank there is no outcome on any, and nothing but the gradients was touched. A
/// micro-batch whose loss is not finite is its rank's last one. The outcome is the same on all
/// ranks. `update_layer` (may be empty), of a step that is one micro-batch of one rank, is called
/// for every layer in the backward pass: then what is not finite is known too late.
[[nodiscard]] std::optional<StepOutcome> run_batch(model::Decoder& decoder, DataParallel& parallel,
                                                   std::span<const Example> examples,
                                                   std::span<const Row* const> rows,
                                                   const TrainOptions& options, std::int64_t step,
                                                   const std::function<bool()>& stop,
                                                   const LayerUpdate& update_layer = {});

/// Update number `number` (from 1), with learning rate `lr`, of what is trained of a decoder. All
/// outlive this.
struct WeightUpdate {
  model::Decoder& decoder;
  DataParallel& parallel;
  Optimizer& optimizer;
  std::int64_t number = 1;
  double lr = 0.0;
  bool in_backward = false;  ///< train.optimizer_in_backward

  /// What run_batch() calls: empty but in the backward pass.
  [[nodiscard]] LayerUpdate by_layers() const;
  /// With the gradients that run_batch() has left, whose norm is `gradient_norm`; or the end of
  /// what by_layers() has begun. Then all ranks have the new weights.
  void finish(double gradient_norm) const;
};

}  // namespace nativo::train
