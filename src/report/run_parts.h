// The larger parts of read_run(), each with files of its own.
#pragma once

#include <filesystem>

#include "report/run_files.h"

namespace nativo::report {

/// {base,train}/ of a run folder, or the files of one training in `folder` itself.
void read_trainings(const std::filesystem::path& folder, RunFiles& run);

/// stages/translate/manifest.json and translation-review.json.
void read_translation(const std::filesystem::path& folder, RunFiles& run);

}  // namespace nativo::report
