// parallel_for for loops that may be too short for it. Waking the other threads and waiting for the
// last takes some microseconds, and milliseconds where another process has their cores.
#pragma once

#include "base/parallel.h"

namespace nativo {

/// What a loop must take on one thread to be worth more.
inline constexpr double kParallelNanoseconds = 10'000.0;

/// parallel_for(count, body), or the same on this thread alone when all items together take about
/// so many `nanoseconds` that threads do not pay. The first exception leaves at once then.
template <class Body>
void parallel_work(std::size_t count, double nanoseconds, const Body& body) {
  if (count > 1 && nanoseconds >= kParallelNanoseconds && threads_here() > 1) {
    parallel_for(count, body);
    return;
  }
  for (std::size_t i = 0; i < count; ++i) body(i);
}

}  // namespace nativo
