// The communicator of ranks that have a GPU each: collectives over memory of their GPUs, through
// NCCL, which is opened when it is first needed. Not here: processes (dist/world.h), memory of the
// host. Rule: the values of a collective lie on the rank's GPU; what its compute stream was given
// before comes first.
#pragma once

#include <memory>

#include "dist/communicator.h"
#include "tensor/device.h"

namespace nativo::dist {

/// The ranks of `host`, which passes the connection's id and whose places they keep, each with its
/// own `device`; collective over them. It must not outlive `host`.
///
/// Sums are NCCL's: its order follows from the machines' wiring and the values' size, so that the
/// same ranks on the same machines get the same bits, but not those of the host's communicator, and
/// sums of bf16 are rounded at every rank that they pass; f32 crosses as f32
/// (Values::crossing_as_bf16 is a wish). allocate() gives memory of the GPU.
/// Throws Error(kMissingInput) where there is no NCCL, Error(kConfig) for a device that is none.
[[nodiscard]] std::unique_ptr<Communicator> connect_nccl(Communicator& host,
                                                         const tensor::Device& device);

}  // namespace nativo::dist
