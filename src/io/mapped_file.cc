#include "io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"

namespace nativo::io {
namespace {

namespace fs = std::filesystem;

class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags)
      : number_(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600)) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

std::span<std::byte> map(const fs::path& path, int file, std::size_t bytes, int protection) {
  if (bytes == 0) return {};
  void* memory = ::mmap(nullptr, bytes, protection, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) throw errno_error(errno, "map", path.native());
  return {static_cast<std::byte*>(memory), bytes};
}

}  // namespace

MappedFile MappedFile::create(const fs::path& path, std::size_t bytes) {
  const Descriptor file(path, O_RDWR | O_CREAT);
  if (file.number() < 0) throw errno_error(errno, "create", path.native());
  const auto size = static_cast<off_t>(bytes);
  if (::ftruncate(file.number(), size) != 0) throw errno_error(errno, "resize", path.native());
  // Without its memory, whoever writes into it would be killed.
  if (const int error = ::posix_fallocate(file.number(), 0, size); error != 0) {
    ::unlink(path.c_str());
    throw errno_error(error, "find space for", path.native());
  }
  return MappedFile(map(path, file.number(), bytes, PROT_READ | PROT_WRITE));
}

MappedFile MappedFile::open(const fs::path& path) {
  const Descriptor file(path, O_RDONLY);
  struct stat status {};
  if (file.number() < 0 || ::fstat(file.number(), &status) != 0) {
    throw errno_error(errno, "read", path.native());
  }
  return MappedFile(map(path, file.number(), static_cast<std::size_t>(status.st_size), PROT_READ));
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace nativo::io
