#include "dist/world.h"

#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/heartbeat.h"
#include "dist/mpi_fabric.h"
#include "dist/node_communicator.h"

namespace nativo::dist {
namespace {

/// 0 when it is not there or no number.
int number_in_environment(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? 0 : std::atoi(text);
}

double start_seconds() {
  constexpr double kUsual = 300.0;
  return std::getenv("NATIVO_START_SECONDS") == nullptr
             ? kUsual
             : number_in_environment("NATIVO_START_SECONDS");
}

bool is_one_of_several() {
  if (std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr) {
    return number_in_environment("OMPI_COMM_WORLD_SIZE") > 1;
  }
  return std::getenv("PMIX_RANK") != nullptr && number_in_environment("SLURM_STEP_NUM_TASKS") != 1;
}

}  // namespace

std::unique_ptr<Communicator> connect() {
  std::unique_ptr<Communicator> ranks;
  if (is_one_of_several()) {
    ranks = std::make_unique<NodeCommunicator>(
        connect_mpi(number_in_environment("NATIVO_RANKS_PER_NODE"), start_seconds()));
  } else {
    ranks = make_self();
  }
  heartbeat::tick();  // whoever watches knows by this that the ranks have found each other
  return ranks;
}

int fair_thread_count(const Place& place) {
  const int cores = omp_get_num_procs();
  const bool is_bound = cores < static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  return is_bound ? cores : std::max(1, cores / place.node_size);
}

}  // namespace nativo::dist
