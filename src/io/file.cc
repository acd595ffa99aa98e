#include "io/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "io/descriptor.h"

namespace nativo::io {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 16;
constexpr std::size_t kReadBytes = std::size_t{1} << 20;

class PosixFile final : public WritableFile {
 public:
  PosixFile(const fs::path& path, int flags, std::string_view action, std::uint64_t offset = 0)
      : path_(path), file_(path, flags, action) {
    if (offset > 0 && ::lseek(file_.get(), static_cast<off_t>(offset), SEEK_SET) < 0) {
      throw errno_error(errno, "write", path_.native());
    }
  }

  void write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw errno_error(errno, "write", path_.native());
      if (written == 0) throw errno_error(EIO, "write", path_.native());
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
    return std::make_unique<PosixFile>(path, O_WRONLY | O_CREAT | O_TRUNC, "create");
  }
  std::unique_ptr<WritableFile> append(const fs::path& path) override {
    return std::make_unique<PosixFile>(path, O_WRONLY | O_CREAT | O_APPEND, "open for writing");
  }
  std::unique_ptr<WritableFile> write_at(const fs::path& path, std::uint64_t offset) override {
    return std::make_unique<PosixFile>(path, O_WRONLY, "open for writing", offset);
  }
  void rename(const fs::path& from, const fs::path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) {
      throw errno_error(errno, "rename to " + to.native(), from.native());
    }
  }
  bool exchange(const fs::path& one, const fs::path& other) override {
    if (::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0) {
      return true;
    }
    if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP) return false;
    throw errno_error(errno, "exchange with " + other.native(), one.native());
  }
  void sync_folder(const fs::path& folder) override {
    const fs::path name = folder.empty() ? fs::path(".") : folder;
    const Descriptor handle(name, O_RDONLY | O_DIRECTORY, "open");
    // EINVAL: this file system has no such thing as syncing a folder.
    if (::fsync(handle.get()) != 0 && errno != EINVAL) {
      throw errno_error(errno, "sync", name.native());
    }
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

/// fsyncs the files below `folder`, then the folders.
void sync_tree(const fs::path& folder, Disk& disk) {
  std::vector<fs::path> folders = {folder};
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const fs::file_type type = entry->symlink_status(error).type();
    if (error) break;
    if (type == fs::file_type::directory) folders.push_back(entry->path());
    if (type == fs::file_type::regular) disk.append(entry->path())->sync();
  }
  if (error) throw errno_error(error.value(), "list", folder.native());
  for (const fs::path& each : folders) disk.sync_folder(each);
}

}  // namespace

namespace {

constexpr std::string_view kAside = "-old";

/// What commits to `final_path` have left aside, of this process or others.
std::vector<fs::path> left_aside(const fs::path& final_path) {
  const fs::path parent = final_path.has_parent_path() ? final_path.parent_path() : fs::path(".");
  const std::string start = final_path.filename().native() + ".tmp-";
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator entry(parent, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    const std::string name = entry->path().filename().native();
    if (name.starts_with(start) && name.ends_with(kAside)) found.push_back(entry->path());
  }
  return found;
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() != fs::file_type::not_found;
}

/// Without an exchange: rename(2) does not replace a folder that holds something, so the old one
/// steps aside whole, and comes back when the new one cannot take its place.
void replace_in_two_steps(const fs::path& temporary, const fs::path& final_path,
                          const fs::path& aside, Disk& disk) {
  disk.rename(final_path, aside);
  try {
    disk.rename(temporary, final_path);
  } catch (...) {
    std::error_code ignored;  // the first failure is the one to report
    fs::rename(aside, final_path, ignored);
    throw;
  }
}

/// The new folder goes aside and changes places with the old one, so that under `temporary`, which
/// may be taken for work to be continued, there is never the old one.
void replace(const fs::path& temporary, const fs::path& final_path, Disk& disk) {
  const fs::path aside = temporary_name(final_path).native() + std::string(kAside);
  disk.remove_all(aside);
  disk.rename(temporary, aside);
  try {
    if (disk.exchange(aside, final_path)) return;
    disk.rename(aside, temporary);
  } catch (...) {
    std::error_code ignored;  // the first failure is the one to report
    fs::rename(aside, temporary, ignored);
    throw;
  }
  replace_in_two_steps(temporary, final_path, aside, disk);
}

}  // namespace

bool Disk::exchange(const fs::path& /*one*/, const fs::path& /*other*/) { return false; }

fs::path temporary_name(const fs::path& path) {
  return path.native() + fmt::format(".tmp-{}", ::getpid());
}

Disk& posix_disk() {
  static PosixDisk disk;
  return disk;
}

AtomicFile::AtomicFile(fs::path path, Disk& disk)
    : path_(std::move(path)),
      temporary_(temporary_name(path_)),
      disk_(disk),
      file_(disk.create(temporary_)) {}

AtomicFile::~AtomicFile() {
  if (committed_) return;
  file_.reset();
  std::error_code ignored;  // a leftover is collected at the next start
  fs::remove(temporary_, ignored);
}

void AtomicFile::write(std::string_view bytes) {
  NATIVO_CHECK(!committed_, "write after commit");
  buffer_.append(bytes);
  if (buffer_.size() >= kBufferBytes) flush();
}

void AtomicFile::flush() {
  if (!buffer_.empty()) file_->write(buffer_);
  buffer_.clear();
}

void AtomicFile::commit() {
  NATIVO_CHECK(!committed_, "committed twice");
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
  sync_tree(temporary, disk);
  is_there(final_path) ? replace(temporary, final_path, disk) : disk.rename(temporary, final_path);
  disk.sync_folder(final_path.parent_path());
  for (const fs::path& old : left_aside(final_path)) disk.remove_all(old);
}

void recover_commits(const fs::path& parent, Disk& disk) {
  std::vector<fs::path> all;
  std::error_code error;
  for (fs::directory_iterator entry(parent, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    const std::string name = entry->path().filename().native();
    if (name.ends_with(kAside) && name.find(".tmp-") != std::string::npos) {
      all.push_back(entry->path());
    }
  }
  for (const fs::path& aside : all) {
    const std::string& name = aside.native();
    const fs::path own = name.substr(0, name.rfind(".tmp-"));
    is_there(own) ? disk.remove_all(aside) : disk.rename(aside, own);
  }
}

bool commit_new_folder(const fs::path& temporary, const fs::path& final_path, Disk& disk) {
  sync_tree(temporary, disk);
  try {
    disk.rename(temporary, final_path);
  } catch (const Error&) {
    std::error_code error;
    if (fs::symlink_status(final_path, error).type() != fs::file_type::directory) throw;
    disk.remove_all(temporary);
    return false;
  }
  disk.sync_folder(final_path.parent_path());
  return true;
}

std::string read_file(const fs::path& path, std::uint64_t limit) {
  const Descriptor file = open_to_read(path);
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);  // a hint: pipes and /proc say 0 or fail
  std::string bytes;
  std::size_t have = 0;
  for (std::size_t chunk = error ? kReadBytes : std::min<std::uintmax_t>(size, limit) + 1;;
       chunk = kReadBytes) {
    bytes.resize(have + chunk);
    const std::size_t got = read_fully(file, {bytes.data() + have, chunk}, path);
    have += got;
    if (have > limit) {
      throw Error(ExitCode::kData,
                  fmt::format("{}: {} bytes or more, {} are accepted here", path.native(),
                              error ? have : std::max<std::uintmax_t>(size, have), limit));
    }
    if (got < chunk) break;
  }
  bytes.resize(have);
  return bytes;
}

std::string file_sha256(const fs::path& path) {
  const Descriptor file = open_to_read(path);
  Sha256 hash;
  std::string buffer(kReadBytes, '\0');
  for (;;) {
    const std::size_t got = read_fully(file, buffer, path);
    hash.update(std::string_view(buffer.data(), got));
    if (got < buffer.size()) return hash.hex();
  }
}

}  // namespace nativo::io
