// Loops over independent items on all cores. OpenMP underneath, like oneDNN and FAISS, so that one
// pool of threads serves the whole program.
#pragma once

#include <cstddef>
#include <exception>
#include <mutex>

namespace nativo {

/// Number of threads that parallel loops use (OMP_NUM_THREADS or set_thread_count).
[[nodiscard]] int thread_count();

/// Threads that a loop begun here gets: 1 inside another loop.
[[nodiscard]] int threads_here();

/// Sets the number of threads; 0 = all cores that the process may use.
void set_thread_count(int threads);

/// To be called first in main(). Threads that wait for others then spin for some microseconds
/// before they sleep, not for milliseconds as libgomp's do by default: where another program has
/// the core of the thread that is waited for, they would keep that program, and with it each other,
/// waiting. The runtime reads its settings before main(), so the program is started again, once,
/// with GOMP_SPINCOUNT set. Whoever sets that or OMP_WAIT_POLICY is obeyed.
void spin_briefly(char** argv);

/// Calls body(i) for i in 0..count-1 on all threads, items handed out dynamically. `body` must
/// write only what belongs to item i, so that the result does not depend on the number of threads.
/// The first exception is rethrown after the loop.
template <class Body>
void parallel_for(std::size_t count, const Body& body) {
  std::exception_ptr failure;
  std::mutex mutex;
#pragma omp parallel for schedule(dynamic)
  for (std::size_t i = 0; i < count; ++i) {
    try {
      body(i);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace nativo
