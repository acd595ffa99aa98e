// A file as memory: for files in memory file systems, which outlive a process, and for large ones
// that are read in place. Not here: what is in it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <utility>

namespace nativo::io {

class MappedFile {
 public:
  MappedFile() = default;
  /// A file of `bytes` > 0 to read and write, for this user alone. One that is there keeps its
  /// memory, and its bytes up to `bytes`. Throws Error(kTryAgain) when there is not enough space.
  [[nodiscard]] static MappedFile create(const std::filesystem::path& path, std::size_t bytes);
  /// To read. Throws Error(kMissingInput | kIo); of an empty file bytes() is empty.
  [[nodiscard]] static MappedFile open(const std::filesystem::path& path);

  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  /// Of one that was opened: not to be written.
  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }
  /// Stays mapped until the process ends: something may still write there.
  void leave() { bytes_ = {}; }

 private:
  explicit MappedFile(std::span<std::byte> bytes) : bytes_(bytes) {}

  std::span<std::byte> bytes_;
};

}  // namespace nativo::io
