// Where ranks run: the nodes of a Slurm job, or this machine. The supervisor asks for nothing else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "launch/options.h"
#include "launch/process.h"

namespace nativo::launch {

class Nodes {
 public:
  virtual ~Nodes() = default;

  /// Names the work to the run folder: "17", or "local". Not unique over time.
  [[nodiscard]] virtual std::string job() const = 0;
  /// How often this job was started before.
  [[nodiscard]] virtual std::int64_t restarts() const = 0;
  /// Nodes that are ours now, the first to get ranks first.
  [[nodiscard]] virtual std::vector<std::string> names() = 0;
  /// The command that starts `ranks_per_node` ranks of `program` on each of `nodes`, and ends with
  /// them. When one fails, all others are ended.
  [[nodiscard]] virtual Words start(const std::vector<std::string>& nodes,
                                    std::int64_t ranks_per_node, const Words& program) const = 0;
  /// The command that runs `command` once on each of `nodes`, beside whatever runs there.
  [[nodiscard]] virtual Words run_on(const std::vector<std::string>& nodes,
                                     const Words& command) const = 0;
  /// Ends all ranks of earlier starts that can be reached, also those that do not listen.
  virtual void kill_ranks() = 0;
  /// Asks for the job to be ended and queued again, without the nodes `excluded`, to be started
  /// when `count` nodes are there: no fewer, Slurm knows only one number of tasks. False when that
  /// is impossible here.
  virtual bool requeue(std::int64_t count, const std::vector<std::string>& excluded) = 0;
  /// Whether the job, queued again, would be given `count` nodes at once beside those that it has,
  /// none of them of `excluded`.
  [[nodiscard]] virtual bool are_free(std::int64_t count,
                                      const std::vector<std::string>& excluded) = 0;
  /// Our own node, where the supervisor runs.
  [[nodiscard]] virtual std::string here() const = 0;
};

/// The job whose batch script (`script`) this process is (SLURM_JOB_ID). Throws Error(kUsage)
/// outside of one.
[[nodiscard]] std::unique_ptr<Nodes> slurm_nodes(const SlurmOptions& options,
                                                 const std::filesystem::path& script);

/// This machine alone: ranks by mpirun, or directly when there is only one.
[[nodiscard]] std::unique_ptr<Nodes> local_nodes();

/// This machine's name.
[[nodiscard]] std::string host_name();

}  // namespace nativo::launch
