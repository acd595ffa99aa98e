// Event files as TensorBoard reads them: scalars by step.
// Formats: TFRecord framing (tensorflow/core/lib/io/record_writer.h: length, masked CRC-32C, bytes,
// masked CRC-32C, little-endian) around Event messages (tensorflow/core/util/event.proto,
// summary.proto), of which only the few fields below are written. Rule: everything in it also
// stands in metrics.jsonl; losing it costs nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "io/file.h"

namespace nativo::train {

/// Tag and value; tags with '/' are grouped by what stands before it.
using Scalars = std::vector<std::pair<std::string, double>>;

/// One TFRecord.
[[nodiscard]] std::string tensorboard_record(std::string_view message);

/// The record every event file begins with: file_version "brain.Event:2".
[[nodiscard]] std::string tensorboard_header(double time);

/// The record of an Event with a Summary of `scalars` (as floats); `time` in Unix seconds.
[[nodiscard]] std::string tensorboard_event(double time, std::int64_t step, const Scalars& scalars);

/// What TensorBoard shows of a line of metrics.jsonl: loss, held-out losses, learning rate, ...
/// What is null or absent is left out.
[[nodiscard]] Scalars tensorboard_scalars(const Json& line);

class TensorboardWriter {
 public:
  /// Replaces the event files in `folder` by one that holds all lines of `metrics` (a
  /// metrics.jsonl, or nothing yet) and is open for more.
  TensorboardWriter(const std::filesystem::path& folder, const std::filesystem::path& metrics,
                    io::Disk& disk);

  /// Adds a line of metrics.jsonl; readers see it at once.
  void append(const Json& line);

 private:
  std::unique_ptr<io::WritableFile> file_;
};

}  // namespace nativo::train
