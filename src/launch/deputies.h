// Deputies on a job's other nodes notice when its supervisor is gone, and queue the job again.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "launch/nodes.h"
#include "launch/process.h"
#include "launch/supervisor.h"

namespace nativo::launch {

/// The supervisor's side: keeps one running on every node but its own.
class Deputies {
 public:
  /// Both outlive this.
  Deputies(const SupervisedRun& run, Nodes& nodes) : run_(run), nodes_(nodes) {}

  /// Starts them when they do not run, but not more often than every few seconds.
  void keep(const std::set<std::string>& excluded);

 private:
  const SupervisedRun& run_;
  Nodes& nodes_;
  std::optional<Child> child_;
  double next_ = 0.0;  ///< not before, by the steady clock
};

/// A deputy's: when the supervisor gives no sign of life for too long, queues the job again,
/// because Slurm lets a job without its batch script run on. Returns when another supervisor has
/// taken over, or when it is told to stop.
void deputize(const std::filesystem::path& run, const SlurmOptions& options, Nodes& nodes);

}  // namespace nativo::launch
