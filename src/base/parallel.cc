#include "base/parallel.h"

#include <omp.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace nativo {
namespace {

constexpr const char* kSpins = "1000";  // pauses of the processor, 25 ns to 40 ns each

}  // namespace

int thread_count() { return omp_get_max_threads(); }

int threads_here() { return omp_in_parallel() != 0 ? 1 : omp_get_max_threads(); }

void set_thread_count(int threads) {
  omp_set_num_threads(threads > 0 ? threads : omp_get_num_procs());
}

void spin_briefly(char** argv) {
  constexpr const char* kCount = "GOMP_SPINCOUNT";
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv(kCount) != nullptr) return;
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error || ::setenv(kCount, kSpins, 1) != 0) return;
  ::execv(program.c_str(), argv);
  // It could not be started again: it goes on as it is.
}

}  // namespace nativo
