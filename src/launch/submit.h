// From a configuration to a job in the queue.
#pragma once

#include <string>

#include "launch/batch_script.h"
#include "launch/options.h"

namespace nativo::launch {

/// Writes launch/nativo.toml (`config_text`) and launch/job.sh into the run folder, submits the
/// script and notes the job in launch/jobs.jsonl. Returns its number. Throws Error(kLocked) when
/// the job submitted before waits or runs still, and as submit_script() does.
[[nodiscard]] std::string submit_run(const BatchJob& job, const SlurmOptions& options,
                                     const std::string& config_text);

/// Submits an array of `tasks` tasks over the blocks of the data stage `stage` and the job that
/// joins them, which waits for it. Returns the numbers of both.
[[nodiscard]] std::pair<std::string, std::string> submit_stage(const BatchJob& job,
                                                               const SlurmOptions& options,
                                                               const std::string& config_text,
                                                               const std::string& stage,
                                                               std::int64_t tasks);

}  // namespace nativo::launch
