// metrics.jsonl: one JSON line an optimizer step, for people, the report and plots.
// Format: docs/formats/training-metrics.md. Step 0, where there is one, is the model before
// training.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "base/json.h"
#include "io/file.h"

namespace nativo::train {

class MetricsLog {
 public:
  /// Opens `path` for appending after dropping every line beyond `last_step` (-1 = all lines) and a
  /// torn last one: those steps will be run again.
  MetricsLog(const std::filesystem::path& path, std::int64_t last_step, io::Disk& disk);

  void append(const Json& line);
  void sync();

 private:
  std::unique_ptr<io::WritableFile> file_;
};

}  // namespace nativo::train
