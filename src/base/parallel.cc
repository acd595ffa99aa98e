#include "base/parallel.h"

#include <omp.h>

namespace nativo {

int thread_count() { return omp_get_max_threads(); }

int threads_here() { return omp_in_parallel() != 0 ? 1 : omp_get_max_threads(); }

void set_thread_count(int threads) {
  omp_set_num_threads(threads > 0 ? threads : omp_get_num_procs());
}

}  // namespace nativo
