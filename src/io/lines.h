// Reads text that may be compressed: plain, gzip or zstd, told apart by their first bytes, never by
// the name. A stream that ends too early is an error: half a file is never taken for a whole one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace nativo::io {

/// Decompressed bytes of one file.
class ByteReader {
 public:
  /// Opens `path`; throws Error(kMissingInput).
  explicit ByteReader(const std::filesystem::path& path);
  ~ByteReader();
  ByteReader(ByteReader&&) noexcept;
  ByteReader& operator=(ByteReader&&) noexcept;

  /// The next decompressed bytes (valid until the next call); empty at the end. Throws Error(kData)
  /// naming the file when the stream is damaged or truncated, Error(kIo) when reading fails.
  std::string_view next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Lines of one file, without their '\n' (a '\r' before it is dropped too).
class LineReader {
 public:
  /// Lines longer than `max_line` bytes throw Error(kData) naming file and line.
  explicit LineReader(std::filesystem::path path, std::size_t max_line = std::size_t{64} << 20);

  /// Sets `line` to the next one; false at the end. A last line without '\n' counts.
  bool next(std::string& line);

  [[nodiscard]] std::uint64_t line_number() const { return line_number_; }  ///< 1-based
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  ByteReader bytes_;
  std::string_view rest_;
  std::size_t max_line_;
  std::uint64_t line_number_ = 0;
};

/// The whole decompressed file; Error(kData) when it exceeds `limit` bytes.
[[nodiscard]] std::string read_decompressed(const std::filesystem::path& path,
                                            std::uint64_t limit = std::uint64_t{1} << 32);

}  // namespace nativo::io
