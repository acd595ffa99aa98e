// Our collectives against OpenMPI's own, one after the other in the same processes:
//   bench/collectives        (the driver: 2, 4 and 8 ranks)
// Milliseconds are the slowest rank's, the median of a few; "shared" is memory of
// Communicator::allocate(), "any" what comes from elsewhere and passes through it.
#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "dist/world.h"

namespace {

using namespace nativo;

constexpr int kRuns = 7;

/// The median over the runs of what the slowest rank took.
double measure(dist::Communicator& ranks, const std::function<void()>& operation) {
  std::vector<double> times;
  for (int run = 0; run <= kRuns; ++run) {
    ranks.barrier();
    const double start = monotonic_seconds();
    operation();
    const double mine[] = {monotonic_seconds() - start};
    const std::vector<double> all = dist::all_gather_numbers(ranks, mine);
    if (run > 0) times.push_back(*std::ranges::max_element(all));  // the first one warms up
  }
  std::ranges::nth_element(times, times.begin() + kRuns / 2);
  return 1e3 * times[kRuns / 2];
}

void report(dist::Communicator& ranks, const char* name, double shared, double any, double plain) {
  if (!ranks.is_root()) return;
  std::printf("%5d  %-14s %10.1f %10.1f %10.1f %8.2f %8.2f\n", ranks.size(), name, shared, any,
              plain, plain / shared, plain / any);
}

void compare(dist::Communicator& ranks, std::size_t count) {
  const auto n = static_cast<std::size_t>(ranks.size());
  count = count / n * n;
  const auto memory = ranks.allocate(count * sizeof(float), "a benchmark");
  const std::span<float> shared(reinterpret_cast<float*>(memory.data()), count);
  std::vector<float> own(count, 1.0F);
  std::vector<float> other(count, 0.0F);
  std::ranges::fill(shared, 0.0F);
  const std::span<float> any(own);
  const auto parts = dist::even_parts(count, ranks.size());
  const int part = static_cast<int>(count / n);
  float* mine = own.data() + parts[static_cast<std::size_t>(ranks.rank())].begin;

  const double reduce_shared = measure(ranks, [&] { ranks.all_reduce(shared); });
  const double reduce_any = measure(ranks, [&] { ranks.all_reduce(any); });
  const double reduce_plain = measure(ranks, [&] {
    MPI_Allreduce(MPI_IN_PLACE, other.data(), static_cast<int>(count), MPI_FLOAT, MPI_SUM,
                  MPI_COMM_WORLD);
  });
  report(ranks, "all_reduce", reduce_shared, reduce_any, reduce_plain);
  const double scatter_shared = measure(ranks, [&] { ranks.reduce_scatter(shared, parts); });
  const double scatter_any = measure(ranks, [&] { ranks.reduce_scatter(any, parts); });
  const double scatter_plain = measure(ranks, [&] {
    MPI_Reduce_scatter_block(own.data(), other.data(), part, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  });
  report(ranks, "reduce_scatter", scatter_shared, scatter_any, scatter_plain);
  const double gather_shared = measure(ranks, [&] { ranks.all_gather(shared, parts); });
  const double gather_any = measure(ranks, [&] { ranks.all_gather(any, parts); });
  const double gather_plain = measure(ranks, [&] {
    MPI_Allgather(mine, part, MPI_FLOAT, other.data(), part, MPI_FLOAT, MPI_COMM_WORLD);
  });
  report(ranks, "all_gather", gather_shared, gather_any, gather_plain);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const double megabytes = argc > 1 ? std::atof(argv[1]) : 64.0;
    const auto ranks = dist::connect();
    if (ranks->size() < 2) {
      std::fprintf(stderr, "start it under mpirun\n");
      return 1;
    }
    compare(*ranks, static_cast<std::size_t>(megabytes * 1e6 / sizeof(float)));
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
}
