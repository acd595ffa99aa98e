// Whether a run that goes on with fewer nodes than it wants can have more. Only asks; the
// supervisor acts.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "launch/journal.h"
#include "launch/nodes.h"
#include "launch/supervisor.h"

namespace nativo::launch {

/// How there can be more nodes.
struct MoreNodes {
  /// Only when the job is queued again, for so many nodes; 0 = they are the job's already.
  std::size_t queue_for = 0;
  std::string words;  ///< for people
};

class Growth {
 public:
  /// All outlive this.
  Growth(const SupervisedRun& run, Nodes& nodes, const Journal& journal)
      : run_(run), nodes_(nodes), journal_(journal) {}

  /// Ranks are started on `names`.
  void begin(const std::vector<std::string>& names);

  /// Beside ranks, which nobody watches meanwhile: asks only when options.grow is "checkpoint",
  /// they have saved a checkpoint since they were started, and not more often than every
  /// options.grow_seconds. Takes 3 s at most, and two of Slurm's answers when no node answers; less
  /// when the run is asked to stop.
  [[nodiscard]] std::optional<MoreNodes> look(const std::set<std::string>& excluded,
                                              const std::function<bool()>& asked_to_stop);

  /// Between two starts: `found` nodes of the job are healthy. Nothing before the first start of
  /// this job and without a new checkpoint since then: a job is not queued again over and over.
  [[nodiscard]] std::optional<MoreNodes> at_recovery(std::size_t found,
                                                     const std::set<std::string>& excluded);

 private:
  [[nodiscard]] std::int64_t missing(std::size_t have) const;
  [[nodiscard]] bool has_saved() const;
  [[nodiscard]] std::vector<std::string> answering(const std::set<std::string>& excluded);
  [[nodiscard]] std::optional<MoreNodes> in_queue(std::size_t have,
                                                  const std::set<std::string>& excluded);

  const SupervisedRun& run_;
  Nodes& nodes_;
  const Journal& journal_;
  bool has_begun_ = false;
  std::vector<std::string> names_;          ///< of the newest start
  std::optional<std::int64_t> checkpoint_;  ///< the newest one, when it began
  double next_look_ = 0.0;                  ///< by the steady clock
};

}  // namespace nativo::launch
