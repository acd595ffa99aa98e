// safetensors files: tensors as they lie on disk, read and written.
// Not here: which tensors a model has (hf_directory.h). Rule: nothing of a file is used before its
// whole header has been checked; content is trusted only with a digest, which whoever keeps it
// checks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/file.h"
#include "model/safetensors_header.h"
#include "model/storage_type.h"

namespace nativo::model {

/// A file opened for reading and mapped into memory. Reading from several threads is safe.
class SafetensorsFile {
 public:
  /// Opens and checks `path`. Throws Error(kMissingInput | kIo | kData); see
  /// parse_safetensors_header.
  explicit SafetensorsFile(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept;

  [[nodiscard]] const std::filesystem::path& path() const;
  [[nodiscard]] const SafetensorsHeader& header() const;

  /// The tensor of that name, or nullptr.
  [[nodiscard]] const TensorEntry* find(std::string_view name) const;

  /// The tensor's bytes as they lie in the file. `entry` is one of this file's.
  [[nodiscard]] std::span<const std::byte> bytes(const TensorEntry& entry) const;

  /// Reads the tensor as f32 into `values` (entry.elements of them).
  void read(const TensorEntry& entry, std::span<float> values) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A tensor to be written, row-major f32: its values, or, when there are none, what makes them once
/// they are needed (all elements of the shape), so that only one such tensor exists at a time.
struct TensorToWrite {
  std::string name;
  std::vector<std::int64_t> shape;
  std::span<const float> values;
  std::function<void(std::span<float>)> make = {};
};

/// Writes `tensors` (sorted by name, stored as `type`) and `metadata` to `path`, atomically;
/// returns the SHA-256 of the file. Equal input gives equal bytes, those of the format's own
/// library. Throws Error(kIo | kTryAgain).
std::string write_safetensors(
    const std::filesystem::path& path, std::span<const TensorToWrite> tensors, StorageType type,
    const std::vector<std::pair<std::string, std::string>>& metadata = {{"format", "pt"}},
    io::Disk& disk = io::posix_disk());

}  // namespace nativo::model
