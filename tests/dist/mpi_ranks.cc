// A rank of the tests under mpirun: does all that check_collectives() asks for, on the world and on
// parts of it. `late` as argument: rank 1 does not come to the last collective; `late_window`: not
// to share memory; `late_start`: not to MPI's start.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "dist/cases.h"
#include "dist/world.h"

namespace {

std::vector<int> nodes_of(int ranks) {
  const char* per_node = std::getenv("NATIVO_RANKS_PER_NODE");
  std::vector<int> nodes;
  for (int r = 0; r < ranks; ++r)
    nodes.push_back(per_node == nullptr ? 0 : r / std::atoi(per_node));
  return nodes;
}

void come_late() { std::this_thread::sleep_for(std::chrono::seconds(30)); }

int check(const std::string& how) {
  using namespace nativo;
  set_thread_count(1);
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  if (how == "late_start" && rank != nullptr && std::atoi(rank) == 1) come_late();
  const auto world = dist::connect();
  if (world->size() < 2) {
    std::fprintf(stderr, "started without mpirun\n");
    return 1;
  }
  if (how.starts_with("late")) {
    world->set_timeout(1.0);
    world->barrier();
    if (world->rank() == 1) come_late();
    if (how == "late_window") static_cast<void>(world->allocate(64, "a test"));
    world->barrier();
  }
  dist::check_collectives(*world, nodes_of(world->size()));
  const auto half = world->split(world->rank() % 2, 0);
  std::int64_t ranks = 1;
  half->all_reduce(std::span(&ranks, 1));
  if (ranks != half->size()) return 1;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return check(argc > 1 ? argv[1] : "");
  } catch (const nativo::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
