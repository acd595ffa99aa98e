// Writes a zstd file atomically and digests what it writes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "io/file.h"

namespace nativo::io {

/// What commit() left behind.
struct WrittenFile {
  std::string name;         ///< file name without folder
  std::uint64_t bytes = 0;  ///< compressed size
  std::string sha256;       ///< of the compressed bytes
};

/// A .zst file (level 3, with content checksum) that appears under its name when commit() returns.
/// Equal input gives equal bytes.
class ZstdWriter {
 public:
  explicit ZstdWriter(const fs::path& path, Disk& disk = posix_disk());
  ~ZstdWriter();
  ZstdWriter(ZstdWriter&&) noexcept;
  ZstdWriter& operator=(ZstdWriter&&) noexcept;

  void write(std::string_view bytes);
  WrittenFile commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nativo::io
