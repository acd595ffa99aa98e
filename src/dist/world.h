// All ranks that were started together. Rule: without mpirun or srun a process is alone, and
// nothing of MPI is even loaded.
#pragma once

#include <memory>

#include "dist/communicator.h"

namespace nativo::dist {

/// The communicator of all ranks that mpirun or `srun --mpi=pmix` has started, in the processes it
/// has started; make_self() when there is one rank. Once in a process; it must outlive whatever
/// uses it. NATIVO_RANKS_PER_NODE in the environment takes so many consecutive ranks for a node
/// (for tests; they must share one). A start that takes longer than NATIVO_START_SECONDS (300; 0 =
/// no limit), because a rank does not come, ends the process with 75. Throws Error as connect_mpi
/// does.
[[nodiscard]] std::unique_ptr<Communicator> connect();

/// Threads that a rank should compute with: the cores it is bound to, or its share of the node's
/// when it is bound to none.
[[nodiscard]] int fair_thread_count(const Place& place);

}  // namespace nativo::dist
