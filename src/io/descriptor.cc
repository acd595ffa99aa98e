#include "io/descriptor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"

namespace nativo::io {
namespace {

int open_patiently(const char* path, int flags) {
  for (;;) {
    const int number = ::open(path, flags | O_CLOEXEC, 0666);
    if (number >= 0 || errno != EINTR) return number;
  }
}

}  // namespace

Descriptor::Descriptor(const std::filesystem::path& path, int flags, std::string_view action)
    : number_(open_patiently(path.c_str(), flags)) {
  if (number_ < 0) throw errno_error(errno, action, path.native());
}

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

int Descriptor::close() { return ::close(std::exchange(number_, -1)); }

Descriptor open_to_read(const std::filesystem::path& path) {
  Descriptor file(path, O_RDONLY, "open");
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw errno_error(errno, "read", path.native());
  if (S_ISDIR(status.st_mode)) {
    throw Error(ExitCode::kMissingInput, path.native() + ": is a folder, a file is wanted");
  }
  return file;
}

std::size_t read_fully(const Descriptor& file, std::span<char> buffer,
                       const std::filesystem::path& path) {
  std::size_t have = 0;
  while (have < buffer.size()) {
    const ssize_t got = ::read(file.get(), buffer.data() + have, buffer.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw errno_error(errno, "read", path.native());
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  return have;
}

}  // namespace nativo::io
