// The fabric of processes that mpirun or srun has started. Not here: the library (mpi_library.h).
// Rule: MPI places ranks, shares memory on a node and carries messages between nodes; no collective
// of its own touches numbers.
#pragma once

#include <memory>

#include "dist/fabric.h"

namespace nativo::dist {

/// Initialises MPI; once in a process. Destroying the fabric ends MPI, unless an exception is on
/// its way or it was given up: then the process is to end, which the launcher takes as a failure of
/// the whole. `ranks_per_node` > 0 takes so many consecutive ranks for a node, for tests; they must
/// share one. Throws Error as MpiLibrary does, and Error(kTryAgain) when MPI does not start; ends
/// the process with 75 when that takes longer than `start_seconds`.
[[nodiscard]] std::unique_ptr<Fabric> connect_mpi(int ranks_per_node, double start_seconds);

}  // namespace nativo::dist
