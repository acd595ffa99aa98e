// Which nodes of ours are fit to train: those that answer, and pass their health checks.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "launch/health.h"
#include "launch/journal.h"
#include "launch/nodes.h"
#include "launch/supervisor.h"

namespace nativo::launch {

/// The fewest nodes that `options` allow to go on with.
[[nodiscard]] std::int64_t least_nodes(const SlurmOptions& options);

/// How many nodes to queue the job again for when `there` can be expected to be there: so many, but
/// no fewer than least_nodes() and no more than all with their spares.
[[nodiscard]] std::int64_t nodes_to_queue_for(const SlurmOptions& options, std::size_t there);

class NodeChoice {
 public:
  /// All outlive this. Nodes that are found bad or lost are told to the journal.
  NodeChoice(const SupervisedRun& run, Nodes& nodes, Journal& journal)
      : run_(run), nodes_(nodes), journal_(journal) {}

  struct Found {
    std::vector<std::string> names;     ///< good ones, in the order of Nodes::names()
    std::string shared_complaint = {};  ///< what is wrong with what all share; "" = nothing
  };
  /// Checks all nodes at once, but those that were excluded before. A node that is slow beside the
  /// others is checked once more, alone, before it is excluded.
  [[nodiscard]] Found look();

  /// Nodes that failed a check of their own; they stay out for the rest of the job.
  [[nodiscard]] const std::set<std::string>& excluded() const { return excluded_; }

 private:
  [[nodiscard]] Words check_command() const;
  [[nodiscard]] std::vector<Health> ask(const std::vector<std::string>& names);
  void give_slow_ones_a_second_chance(std::vector<Health>& answers);

  const SupervisedRun& run_;
  Nodes& nodes_;
  Journal& journal_;
  std::set<std::string> excluded_;
};

}  // namespace nativo::launch
