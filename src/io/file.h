// Files behind one interface. Everything that is written to be read again goes to a temporary name,
// is fsynced, renamed, and its folder fsynced: after a crash there is the old file or the new one.
// Not here: compressed streams (io/lines.h, io/zstd_writer.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace nativo::io {

namespace fs = std::filesystem;

/// An open file being written. Errors are thrown as Error (see errno_error); closes on destruction.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual void write(std::string_view bytes) = 0;
  virtual void sync() = 0;   ///< to stable storage
  virtual void close() = 0;  ///< reports late write errors
};

/// What nativo asks of a file system when it changes something. The fakes of the tests fail the
/// n-th call or drop what was not synced.
class Disk {
 public:
  virtual ~Disk() = default;
  virtual std::unique_ptr<WritableFile> create(const fs::path& path) = 0;  ///< truncates
  virtual std::unique_ptr<WritableFile> append(const fs::path& path) = 0;  ///< creates if absent
  /// Of a file that is there, from byte `offset` on; what lies elsewhere stays.
  virtual std::unique_ptr<WritableFile> write_at(const fs::path& path, std::uint64_t offset) = 0;
  virtual void rename(const fs::path& from, const fs::path& to) = 0;  ///< replaces a file
  /// Gives two names each other's file or folder in one step; false where the file system cannot.
  virtual bool exchange(const fs::path& one, const fs::path& other);
  virtual void sync_folder(const fs::path& folder) = 0;
  virtual void remove_all(const fs::path& path) = 0;  ///< no error when absent
  virtual void make_folders(const fs::path& path) = 0;
};

/// The real file system.
[[nodiscard]] Disk& posix_disk();

/// A file that appears under its name only when commit() has returned. Writes are buffered.
class AtomicFile {
 public:
  explicit AtomicFile(fs::path path, Disk& disk = posix_disk());
  ~AtomicFile();  ///< without commit(): removes the temporary file
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view bytes);
  /// Flushes, fsyncs, renames to the final name and fsyncs the folder.
  void commit();

 private:
  void flush();

  fs::path path_;
  fs::path temporary_;
  Disk& disk_;
  std::unique_ptr<WritableFile> file_;
  std::string buffer_;
  bool committed_ = false;
};

/// Writes `bytes` to `path` as AtomicFile does.
void write_file_atomically(const fs::path& path, std::string_view bytes, Disk& disk = posix_disk());

/// fsyncs every file below `folder` and the folders themselves, then renames `temporary` to
/// `final_path` and fsyncs the parent. What was at `final_path` is exchanged for it in one step and
/// removed. Where the file system cannot exchange, it is renamed to a *.tmp-*-old name before, and
/// put back when the new folder cannot take its place. What an earlier commit to `final_path` left
/// under such names when it was killed is removed, too.
void commit_folder(const fs::path& temporary, const fs::path& final_path,
                   Disk& disk = posix_disk());

/// After a kill: what commit_folder left below `parent` under *.tmp-*-old names is removed, or gets
/// its own name back when there is nothing under it.
void recover_commits(const fs::path& parent, Disk& disk = posix_disk());

/// As commit_folder, but what is at `final_path` already stays: false then, and `temporary` is
/// removed. For folders whose name tells their content, which several processes may make at once.
bool commit_new_folder(const fs::path& temporary, const fs::path& final_path,
                       Disk& disk = posix_disk());

/// The name that is used for `path` while it is made.
[[nodiscard]] fs::path temporary_name(const fs::path& path);

/// The whole file; throws Error(kMissingInput | kIo). Refuses files over `limit` bytes (kData).
[[nodiscard]] std::string read_file(const fs::path& path,
                                    std::uint64_t limit = std::uint64_t{1} << 32);

/// SHA-256 of a file's bytes, lower-case hex.
[[nodiscard]] std::string file_sha256(const fs::path& path);

}  // namespace nativo::io
