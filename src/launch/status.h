// How a run is doing, from its run folder and Slurm.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "launch/heartbeats.h"

namespace nativo::launch {

struct RankStatus {
  Heartbeat beat;
  double silence = 0.0;  ///< seconds since the last sign of life
};

struct RunStatus {
  std::string job;        ///< "17", "local"; "" = never launched
  std::string job_state;  ///< of Slurm; "" = not a Slurm job, or Slurm cannot be asked
  std::string nodes;      ///< of Slurm
  std::string reason;     ///< why the job waits
  std::string state;      ///< of the supervisor: "running", "waiting", "done", ...; "" = none yet
  std::string message;    ///< of the supervisor
  std::int64_t restart = 0;
  std::int64_t faults = 0;
  std::int64_t ranks = 0;  ///< as started
  std::int64_t step = 0;
  std::int64_t steps = 0;  ///< 0 = not known
  std::optional<double> loss;
  double step_seconds = 0.0;  ///< median of the newest; 0 = not known
  std::vector<RankStatus> alive;
  std::vector<Json> events;  ///< the newest faults, recoveries and stops
};

/// Throws Error(kMissingInput) when `run` is no folder.
[[nodiscard]] RunStatus read_status(const std::filesystem::path& run);

[[nodiscard]] Json to_json(const RunStatus& status);

/// Some lines for people; `all_ranks` lists every rank, otherwise only those that are silent.
[[nodiscard]] std::string describe(const RunStatus& status, bool all_ranks);

/// Asks the run to save and to end. Returns what was done, for people. Throws Error(kUsage) when it
/// does not run, or runs where it cannot be reached from here.
[[nodiscard]] std::string stop_run(const std::filesystem::path& run);

/// Writes what the ranks print to stdout: the newest start's, or with `supervisor` what the
/// supervisor says; with `follow` goes on until the run has ended or Ctrl-C.
void print_logs(const std::filesystem::path& run, bool supervisor, bool follow);

}  // namespace nativo::launch
