#include "io/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/hash.h"

namespace nativo::io {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 16;

/// A file descriptor that closes itself.
class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags, std::string_view action)
      : number_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (number_ < 0) throw errno_error(errno, action, path.native());
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] int get() const { return number_; }
  [[nodiscard]] int close() { return ::close(std::exchange(number_, -1)); }
  [[nodiscard]] bool is_open() const { return number_ >= 0; }

 private:
  int number_;
};

class PosixFile final : public WritableFile {
 public:
  PosixFile(const fs::path& path, int flags) : path_(path), file_(path, flags, "create") {}

  void write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw errno_error(errno, "write", path_.native());
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  void sync() override {
    if (::fsync(file_.get()) != 0) throw errno_error(errno, "sync", path_.native());
  }
  void close() override {
    if (file_.is_open() && file_.close() != 0) throw errno_error(errno, "close", path_.native());
  }

 private:
  fs::path path_;
  Descriptor file_;
};

class PosixDisk final : public Disk {
 public:
  std::unique_ptr<WritableFile> create(const fs::path& path) override {
    return std::make_unique<PosixFile>(path, O_WRONLY | O_CREAT | O_TRUNC);
  }
  std::unique_ptr<WritableFile> append(const fs::path& path) override {
    return std::make_unique<PosixFile>(path, O_WRONLY | O_CREAT | O_APPEND);
  }
  void rename(const fs::path& from, const fs::path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) {
      throw errno_error(errno, "rename to " + to.native(), from.native());
    }
  }
  void sync_folder(const fs::path& folder) override {
    const Descriptor handle(folder.empty() ? fs::path(".") : folder, O_RDONLY | O_DIRECTORY, "open");
    if (::fsync(handle.get()) != 0) throw errno_error(errno, "sync", folder.native());
  }
  void remove_all(const fs::path& path) override {
    std::error_code error;
    fs::remove_all(path, error);
    if (error) throw errno_error(error.value(), "remove", path.native());
  }
  void make_folders(const fs::path& path) override {
    std::error_code error;
    fs::create_directories(path, error);
    if (error) throw errno_error(error.value(), "create folder", path.native());
  }
};

}  // namespace

Disk& posix_disk() {
  static PosixDisk disk;
  return disk;
}

AtomicFile::AtomicFile(fs::path path, Disk& disk)
    : path_(std::move(path)),
      temporary_(path_.native() + fmt::format(".tmp-{}", ::getpid())),
      disk_(disk),
      file_(disk.create(temporary_)) {}

AtomicFile::~AtomicFile() {
  if (committed_) return;
  file_.reset();
  std::error_code ignored;  // a leftover is collected at the next start
  fs::remove(temporary_, ignored);
}

void AtomicFile::write(std::string_view bytes) {
  buffer_.append(bytes);
  if (buffer_.size() >= kBufferBytes) flush();
}

void AtomicFile::flush() {
  file_->write(buffer_);
  buffer_.clear();
}

void AtomicFile::commit() {
  flush();
  file_->sync();
  file_->close();
  disk_.rename(temporary_, path_);
  committed_ = true;
  disk_.sync_folder(path_.parent_path());
}

void write_file_atomically(const fs::path& path, std::string_view bytes, Disk& disk) {
  AtomicFile file(path, disk);
  file.write(bytes);
  file.commit();
}

void commit_folder(const fs::path& temporary, const fs::path& final_path, Disk& disk) {
  std::vector<fs::path> folders = {temporary};
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(temporary)) {
    if (entry.is_directory()) {
      folders.push_back(entry.path());
    } else {
      disk.append(entry.path())->sync();
    }
  }
  for (const fs::path& folder : folders) disk.sync_folder(folder);
  disk.remove_all(final_path);
  disk.rename(temporary, final_path);
  disk.sync_folder(final_path.parent_path());
}

std::string read_file(const fs::path& path, std::uint64_t limit) {
  Descriptor file(path, O_RDONLY, "open");
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw errno_error(errno, "read", path.native());
  if (S_ISDIR(status.st_mode)) {
    throw Error(ExitCode::kMissingInput, path.native() + ": is a folder, a file is wanted");
  }
  if (static_cast<std::uint64_t>(status.st_size) > limit) {
    throw Error(ExitCode::kData, fmt::format("{}: {} bytes, more than the {} that are accepted here",
                                             path.native(), status.st_size, limit));
  }
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + have, bytes.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw errno_error(errno, "read", path.native());
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

std::string file_sha256(const fs::path& path) {
  Descriptor file(path, O_RDONLY, "open");
  Sha256 hash;
  std::string buffer(std::size_t{1} << 20, '\0');
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw errno_error(errno, "read", path.native());
    if (got == 0) return hash.hex();
    hash.update(std::string_view(buffer.data(), static_cast<std::size_t>(got)));
  }
}

}  // namespace nativo::io
