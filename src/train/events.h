// events.jsonl: what happened to a training run beside its steps, with the time of each: starts,
// resumes, checkpoints, spikes, stops. Format: docs/formats/training-metrics.md.
// Rule: whole lines are only ever added; steps that are run again leave their events twice.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "base/json.h"
#include "io/file.h"

namespace nativo::train {

class EventLog {
 public:
  /// Opens `path` for appending; a torn last line is dropped.
  EventLog(const std::filesystem::path& path, io::Disk& disk);

  /// Writes {"time": Unix seconds, "event": event, "step": step, ...detail} and flushes it to the
  /// system.
  void append(std::string_view event, std::int64_t step, const Json& detail = Json::object());

 private:
  std::unique_ptr<io::WritableFile> file_;
};

}  // namespace nativo::train
