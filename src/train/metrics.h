// metrics.jsonl: one JSON line an optimizer step, for people, the report and plots.
// Format: docs/formats/training-metrics.md. Step 0, where there is one, is the model before
// training.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/json.h"
#include "io/file.h"

namespace nativo::train {

/// What the metrics say of the rows that a step took.
struct TakenBatch {
  std::string batch;  ///< batch_digest(); "" = the step is not among them
  std::int64_t row_offset =
      0;  ///< TrainState::row_offset at that step, or at the last one there is
};

/// Of `step` in the metrics at `path`; nothing when they are not there or empty. Throws Error(kIo)
/// when they cannot be read, Error(kData) for an offset that is none.
[[nodiscard]] std::optional<TakenBatch> taken_batch(const std::filesystem::path& path,
                                                    std::int64_t step);

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
