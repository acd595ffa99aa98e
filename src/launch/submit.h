// From a configuration to a job in the queue.
#pragma once

#include <string>

#include "launch/batch_script.h"
#include "launch/options.h"

namespace nativo::launch {

/// Writes launch/nativo.toml (`config_text`) and launch/job.sh into the run folder, submits the
/// script and notes the job in launch/jobs.jsonl. Returns its number. Throws, before it writes
/// anything, as require_slurm() does; Error(kLocked) when
/// the job submitted before waits or runs still, and as submit_script() does.
[[nodiscard]] std::string submit_run(const BatchJob& job, const SlurmOptions& options,
                                     const std::string& config_text);

/// Numbers of the jobs that make a data stage, in their order.
struct StageJobs {
  std::string before;
  std::string array;
  std::string join;
};

/// Submits what comes before the data stage `stage` (up to the step `before`), an array of `tasks`
/// tasks over its blocks, and the job that joins them and makes what a failed task left out. When
/// the first one fails, Slurm cancels the others. Throws as submit_run() does, but never kLocked.
[[nodiscard]] StageJobs submit_stage(const BatchJob& job, const SlurmOptions& options,
                                     const std::string& config_text, const std::string& stage,
                                     const std::string& before, std::int64_t tasks);

}  // namespace nativo::launch
