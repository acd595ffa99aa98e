// safetensors files: tensors as they lie on disk, read and written.
// Not here: which tensors a model has (hf_directory.h). Rule: nothing of a file is used before its
// whole header has been checked; content is trusted only with a digest, which whoever keeps it
// checks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
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

  /// Reads the tensor as f32 into `values` (entry.elements of them). Throws Error(kData) when it is
  /// not of a floating-point type.
  void read(const TensorEntry& entry, std::span<float> values) const;

  /// The same of its elements first .. first + values.size() - 1.
  void read(const TensorEntry& entry, std::size_t first, std::span<float> values) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Numbers that are stored as they lie in memory.
struct StoredValues {
  StorageType type = StorageType::kF32;
  std::span<const std::byte> bytes;
};

/// A tensor to be written, row-major: its values in f32; or, when there are none, what makes them
/// once they are needed (all elements of the shape), so that only one such tensor exists at a time;
/// or what is stored as it is.
struct TensorToWrite {
  std::string name;
  std::vector<std::int64_t> shape;
  std::span<const float> values;
  std::function<void(std::span<float>)> make = {};
  std::optional<StoredValues> stored = {};
};

/// Where write_safetensors() puts everything.
struct SafetensorsLayout {
  std::string head;                              ///< the file's beginning
  std::map<std::string, std::uint64_t> offsets;  ///< of each tensor's first byte, in the file
  std::uint64_t bytes = 0;                       ///< of the whole file
  std::vector<const TensorToWrite*> order;       ///< the tensors as they lie in it
};

/// Needs the tensors' names, shapes and types alone.
[[nodiscard]] SafetensorsLayout safetensors_layout(
    std::span<const TensorToWrite> tensors, StorageType type,
    const std::vector<std::pair<std::string, std::string>>& metadata = {{"format", "pt"}});

/// Writes `tensors` (those not `stored` as `type`) and `metadata` to `path`, atomically; returns
/// the SHA-256 of the file. They lie in it by type, the widest first, then by name. Equal input
/// gives equal bytes, those of the format's own library. Throws Error(kIo | kTryAgain).
std::string write_safetensors(
    const std::filesystem::path& path, std::span<const TensorToWrite> tensors, StorageType type,
    const std::vector<std::pair<std::string, std::string>>& metadata = {{"format", "pt"}},
    io::Disk& disk = io::posix_disk());

/// Makes the tensors that have a `make` in the order in which write_safetensors() does, and throws
/// them away: for ranks whose part the writing one needs.
void help_write_safetensors(std::span<const TensorToWrite> tensors, StorageType type);

}  // namespace nativo::model
