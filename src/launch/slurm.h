// Slurm's commands, and what they answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launch/process.h"

namespace nativo::launch {

/// Seconds that one of Slurm's commands may take: its controller may be busy, or restart.
inline constexpr double kSlurmSeconds = 10.0;

/// The value of `key` in an answer of `scontrol show ... --oneliner`: "Key=value Key=value ...".
/// Nothing when the key is not there or has no value ("(null)").
[[nodiscard]] std::optional<std::string> scontrol_value(std::string_view answer,
                                                        std::string_view key);

/// When a job would start, Unix seconds, by the answer of `sbatch --test-only` under
/// SLURM_TIME_FORMAT=%s: "sbatch: Job 7 to start at 1700000000 using 4 processors on ...". Nothing
/// when it says something else.
[[nodiscard]] std::optional<double> test_only_start(std::string_view answer);

/// What is known of a job.
struct JobState {
  std::string state;   ///< "PENDING", "RUNNING", ...; "UNKNOWN" when nobody remembers it
  std::string nodes;   ///< "n[1-4]"; "" = none
  std::string reason;  ///< why it waits; "" = it does not
};

/// By squeue, or for jobs that have been over for a while, sacct where accounting is there. Throws
/// Error(kMissingInput) where Slurm's commands are not installed.
[[nodiscard]] JobState job_state(const std::string& job);

/// "n[1-2],m7" as single names, in order.
[[nodiscard]] std::vector<std::string> expand_nodes(const std::string& nodes);

/// Throws Error(kMissingInput) where Slurm's commands are not installed.
void require_slurm();

/// Submits `script`; its number. `after`: what it waits for ("afterok:17"), or ""; the job goes
/// when that cannot come any more. Throws Error(kTryAgain) with what sbatch said.
[[nodiscard]] std::string submit_script(const std::string& script, const std::string& after);

/// Sends a signal to a job's batch script only. False when it does not run any more.
bool signal_batch(const std::string& job, const std::string& signal);

/// Ends a job that waits or runs.
void cancel_job(const std::string& job);

}  // namespace nativo::launch
