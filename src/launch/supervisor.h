// Starts the ranks of a run, watches them, and starts them again. It runs beside them, in the batch
// script's own process or on the machine where the run was started by hand, and knows them by their
// files and exit codes only.
#pragma once

#include <filesystem>
#include <vector>

#include "launch/nodes.h"
#include "launch/options.h"

namespace nativo::launch {

struct SupervisedRun {
  std::filesystem::path run;  ///< run folder, absolute
  std::vector<std::filesystem::path>
      trainings;                 ///< TRAIN_DIRs that need a fence, the main one first
  Words program;                 ///< what every rank runs
  Words self;                    ///< nativo, for checks on other nodes
  std::filesystem::path config;  ///< what a deputy on another node reads; "" = there is none
  SlurmOptions options;
};

/// Runs until the ranks have ended well, were asked to stop, or cannot go on. Returns the exit code
/// for this process: 0; 75 when it was asked to stop, or gave up after options.retries faults in a
/// row, or queued the job again; otherwise that of the rank whose error would come again. Holds the
/// lock of the run folder: throws Error(kLocked) when another run has it.
[[nodiscard]] int supervise(const SupervisedRun& run, Nodes& nodes);

}  // namespace nativo::launch
