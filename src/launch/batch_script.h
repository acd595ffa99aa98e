// The batch script of a run, for sbatch and for people.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "launch/options.h"

namespace nativo::launch {

struct BatchJob {
  std::filesystem::path program;  ///< nativo, absolute
  std::filesystem::path run;      ///< run folder, absolute
  std::filesystem::path config;   ///< the run's options as they were submitted, absolute
  std::string verb = "run";       ///< what the ranks do: "run" or "train"
};

/// A bash script whose process becomes the supervisor: Slurm's signals then reach it directly.
/// Throws Error(kConfig) as SlurmOptions::check() does, and for paths that hold a line break.
[[nodiscard]] std::string batch_script(const BatchJob& job, const SlurmOptions& options);

/// One task of an array over a data stage's blocks, or, with `tasks` = 0, the job that joins them.
[[nodiscard]] std::string stage_script(const BatchJob& job, const SlurmOptions& options,
                                       const std::string& stage, std::int64_t tasks);

}  // namespace nativo::launch
