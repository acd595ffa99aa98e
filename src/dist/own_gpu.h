// Which GPU is a rank's own. Not here: how GPUs talk to each other (dist/nccl.h).
// Rule: one rank a GPU; who starts more is told so before anything is computed.
#pragma once

#include <string>
#include <vector>

#include "dist/communicator.h"
#include "tensor/device.h"

namespace nativo::dist {

/// Of the GPUs that this process sees (CUDA_VISIBLE_DEVICES; under Slurm those of the task), the
/// one at the rank's place on its node, modulo how many there are: each task may see its own GPU
/// alone, or all of the node's. Collective. Throws Error(kConfig) on all ranks, naming node and
/// ranks, when one sees no GPU, or two of a node would have the same.
[[nodiscard]] tensor::Device own_gpu(Communicator& ranks);

/// What is wrong with `gpus`, the uuid of each rank's GPU ("" = it sees none), `nodes` the node of
/// each; "" when nothing is.
[[nodiscard]] std::string gpus_refused(const std::vector<std::string>& gpus,
                                       const std::vector<int>& nodes);

}  // namespace nativo::dist
