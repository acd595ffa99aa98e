// What options of [train] exclude each other, told before anything is begun.
// Not here: one option's own range or choices (options.h), what needs a loaded model or its data.
#pragma once

#include <cstdint>

#include "train/options.h"

namespace nativo::train {

/// Throws Error(kConfig) when `options` do not go together, or not with so many ranks: what
/// numbers_of(), offload_of() and training_shape() throw, the optimizer in the backward pass of
/// several ranks, and patience without evaluations to wait for.
void check_together(const TrainOptions& options, std::int64_t ranks = 1);

}  // namespace nativo::train
