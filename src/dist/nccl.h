// The communicator of ranks that have a GPU each: collectives over memory of their GPUs through
// NCCL, which is opened where there are several, and over memory of the host through the
// communicator that the ranks have already. Not here: processes (dist/world.h), whose GPU is which
// (dist/own_gpu.h).
#pragma once

#include <memory>

#include "dist/communicator.h"
#include "tensor/device.h"

namespace nativo::dist {

/// The ranks of `host`, whose places they keep, each with its own `device`. It must not outlive
/// `host`, which nobody else uses meanwhile. GPUs connect at the first collective of their values,
/// which is collective for the host, too; a rank that does not come to that ends the others with 75
/// after the time limit (dist/watch.h).
///
/// Sums are NCCL's: its order follows from the machines' wiring and the values' size, so that the
/// same ranks on the same machines get the same bits, but not those of the host's communicator, and
/// sums of bf16 are rounded at every rank that they pass. allocate() gives memory of the host;
/// bytes are sent from the host alone (send_receive). A rank that is alone, here or in a part
/// (split), has nobody to talk to: NCCL is not opened for it, nor told of it. Throws
/// Error(kMissingInput) where several ranks have no NCCL, Error(kConfig) for a device that is none.
[[nodiscard]] std::unique_ptr<Communicator> connect_nccl(Communicator& host,
                                                         const tensor::Device& device);

}  // namespace nativo::dist
