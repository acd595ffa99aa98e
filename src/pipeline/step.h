// One step of a run: what it depends on, where it writes, how it is done, and whether it must be
// done again. Not here: the steps themselves (pipeline/*_steps.cc) and their order
// (pipeline/pipeline.cc).
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/stage.h"

namespace nativo::pipeline {

namespace fs = std::filesystem;

/// A step. `spec` is asked only when all `needs` are complete, because it hashes what they wrote.
struct Step {
  std::string name;                ///< also the verb that runs up to it
  fs::path folder;                 ///< holds manifest.json once the step is complete
  std::vector<std::string> needs;  ///< names of steps whose output it reads
  std::function<data::StageSpec()> spec;
  std::function<void(const data::StageSpec&)> run;
  /// Every rank does it, all at once; the others' spec is empty but for the name.
  bool all_ranks = false;
};

/// What a run would do with a step, and why.
struct PlanLine {
  std::string step;
  std::string action;  ///< "reuse", "continue" or "run"
  std::string reason;
};

/// `spec` with its key filled in.
[[nodiscard]] data::StageSpec keyed(data::StageSpec spec);

/// Compares `step` as it would run now with what its folder holds.
[[nodiscard]] PlanLine plan_step(const Step& step, const data::StageSpec& spec);

/// Writes `folder`/manifest.json for a step that is not a data stage: every other file below
/// `folder` is listed with its digest. This completes the step.
void complete_step(const fs::path& folder, const data::StageSpec& spec, double seconds,
                   Json detail = Json::object());

/// One hash over the files of a complete step whose names start with `prefix`.
[[nodiscard]] std::string output_digest(const fs::path& folder, std::string_view prefix = "");

/// "436 in, 398 kept, 38 rejected (language 4, too_short 2)".
[[nodiscard]] std::string summary(const data::Manifest& manifest);

}  // namespace nativo::pipeline
