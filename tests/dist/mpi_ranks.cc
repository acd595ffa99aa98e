// A rank of the tests under mpirun: does all that check_collectives() asks for, on the world and on
// parts of it. `late` as argument: rank 1 does not come to the last collective.
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

int check(bool one_is_late) {
  using namespace nativo;
  set_thread_count(1);
  const auto world = dist::connect();
  if (world->size() < 2) {
    std::fprintf(stderr, "started without mpirun\n");
    return 1;
  }
  if (one_is_late) {
    world->set_timeout(1.0);
    world->barrier();
    if (world->rank() == 1) std::this_thread::sleep_for(std::chrono::seconds(30));
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
    return check(argc > 1 && std::string(argv[1]) == "late");
  } catch (const nativo::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
