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

/// A data stage takes three jobs, each on one node: what comes before it, an array over its blocks,
/// and one that joins them.
struct StageJob {
  enum class Kind { kBefore, kPart, kJoin };
  Kind kind = Kind::kPart;
  std::string stage;       ///< "translate"
  std::string before;      ///< the step before it; for kBefore
  std::int64_t tasks = 1;  ///< of the array; for kPart
};

/// The script of one of them. Throws as batch_script() does.
[[nodiscard]] std::string stage_script(const BatchJob& job, const SlurmOptions& options,
                                       const StageJob& stage);

}  // namespace nativo::launch
