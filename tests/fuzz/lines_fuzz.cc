// layers: io
// LineReader over hostile bytes: lines, or an Error; plain text comes back complete.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "io/lines.h"

namespace {

/// A file in memory that has a name.
class MemoryFile {
 public:
  MemoryFile(const std::uint8_t* data, std::size_t size) : number_(::memfd_create("fuzz", 0)) {
    if (number_ < 0 || ::write(number_, data, size) != static_cast<ssize_t>(size)) std::abort();
  }
  ~MemoryFile() { ::close(number_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  [[nodiscard]] std::filesystem::path path() const {
    return "/proc/self/fd/" + std::to_string(number_);
  }

 private:
  int number_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const MemoryFile file(data, size);
  std::uint64_t lines = 0;
  try {
    nativo::io::LineReader reader(file.path(), std::size_t{1} << 16);
    for (std::string line; reader.next(line); ++lines) {
      if (line.size() > (std::size_t{1} << 16) || line.find('\n') != std::string::npos)
        std::abort();
    }
    if (reader.line_number() != lines) std::abort();
  } catch (const nativo::Error& e) {
    if (e.code() != nativo::ExitCode::kData) std::abort();
  }
  return 0;
}
