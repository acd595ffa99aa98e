// A cluster of nodes that are names: whatever is started runs on this machine, with the nodes it
// was meant for in $NODES. It remembers what was asked of it.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <utility>
#include <vector>

#include "launch/nodes.h"

namespace nativo::launch {

class FakeNodes : public Nodes {
 public:
  explicit FakeNodes(std::vector<std::string> names) : all(std::move(names)) {}

  [[nodiscard]] std::string job() const override { return "17"; }
  [[nodiscard]] std::int64_t restarts() const override { return job_restarts; }
  [[nodiscard]] std::vector<std::string> names() override { return all; }
  [[nodiscard]] Words start(const std::vector<std::string>& nodes, std::int64_t /*ranks_per_node*/,
                            const Words& program) const override {
    return run_on(nodes, program);
  }
  [[nodiscard]] Words run_on(const std::vector<std::string>& nodes,
                             const Words& command) const override {
    Words words = {"env", fmt::format("NODES={}", fmt::join(nodes, ","))};
    words.insert(words.end(), command.begin(), command.end());
    return words;
  }
  void kill_ranks() override { ++kills; }
  bool requeue(std::int64_t count, const std::vector<std::string>&) override {
    ++requeues;
    wanted = count;
    return false;
  }
  bool are_free(std::int64_t count, const std::vector<std::string>&) override {
    return count <= free;
  }
  [[nodiscard]] std::string here() const override { return all.front(); }

  std::vector<std::string> all;
  std::int64_t job_restarts = 0;
  std::int64_t free = 0;  ///< nodes that Slurm would give
  int kills = 0;
  int requeues = 0;
  std::int64_t wanted = 0;  ///< nodes, by the last of them
};

}  // namespace nativo::launch
