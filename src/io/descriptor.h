// A file descriptor that closes itself, and the loops around read(2) that everybody gets wrong.
// Private to io: the other folders use io/file.h and io/lines.h.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>

namespace nativo::io {

/// Owns one descriptor, opened with O_CLOEXEC (new files get mode 0666 less the umask).
class Descriptor {
 public:
  /// Throws errno_error(…, `action`, `path`) when open(2) fails.
  Descriptor(const std::filesystem::path& path, int flags, std::string_view action);
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;

  [[nodiscard]] int get() const { return number_; }
  [[nodiscard]] bool is_open() const { return number_ >= 0; }
  /// close(2)'s result; nothing is open afterwards, whatever it is.
  [[nodiscard]] int close();

 private:
  int number_;
};

/// Opens a file for reading; throws Error(kMissingInput) when it does not exist or is a folder.
[[nodiscard]] Descriptor open_to_read(const std::filesystem::path& path);

/// Reads until `buffer` is full or the file ends; the number of bytes read. Throws Error(kIo).
[[nodiscard]] std::size_t read_fully(const Descriptor& file, std::span<char> buffer,
                                     const std::filesystem::path& path);

}  // namespace nativo::io
