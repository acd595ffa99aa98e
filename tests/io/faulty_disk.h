// A disk that fails on command. It passes everything on to the real one, counts the calls, and
// makes the n-th fail with a chosen errno, once or from then on; a failing write may leave half its
// bytes. It also remembers what was never synced, and can lose it as a power cut would. Syncs are
// counted, not done: they take most of a test's time and change nothing that a test of this process
// can see. Several threads may use it at once.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/file.h"

namespace nativo::io {

/// Which call fails, and how.
struct Fault {
  std::int64_t call = 0;      ///< 1-based; 0 = none
  int error_number = ENOSPC;  ///< ENOSPC, EIO, …
  bool for_good = false;      ///< all later calls fail too
  bool torn = false;          ///< a failing write first writes half of its bytes
};

class FaultyDisk final : public Disk {
 public:
  FaultyDisk() = default;
  explicit FaultyDisk(const Fault& fault) : fault_(fault) {}

  std::unique_ptr<WritableFile> create(const fs::path& path) override {
    step("create", path);
    return std::make_unique<File>(*this, path, posix_disk().create(path));
  }
  std::unique_ptr<WritableFile> append(const fs::path& path) override {
    step("append", path);
    return std::make_unique<File>(*this, path, posix_disk().append(path));
  }
  std::unique_ptr<WritableFile> write_at(const fs::path& path, std::uint64_t offset) override {
    step("write_at", path);
    return std::make_unique<File>(*this, path, posix_disk().write_at(path, offset));
  }
  void rename(const fs::path& from, const fs::path& to) override {
    step("rename", to);
    posix_disk().rename(from, to);
    const std::lock_guard lock(mutex_);
    if (unsynced_.erase(from) > 0) unsynced_.insert(to);
  }
  bool exchange(const fs::path& one, const fs::path& other) override {
    step("exchange", other);
    return exchanges_ && posix_disk().exchange(one, other);
  }
  /// As a file system that cannot.
  void cannot_exchange() { exchanges_ = false; }
  void sync_folder(const fs::path& folder) override {
    step("sync_folder", folder);
    if (!folder.empty() && !fs::is_directory(folder)) {
      throw errno_error(ENOTDIR, "sync", folder.native());
    }
  }
  void remove_all(const fs::path& path) override {
    step("remove", path);
    posix_disk().remove_all(path);
    const std::lock_guard lock(mutex_);
    unsynced_.erase(path);
  }
  void make_folders(const fs::path& path) override {
    step("make_folders", path);
    posix_disk().make_folders(path);
  }

  [[nodiscard]] std::int64_t calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }
  /// In place of the constructor's.
  void set_fault(const Fault& fault) {
    const std::lock_guard lock(mutex_);
    fault_ = fault;
  }

  // The following not while another thread uses the disk.

  /// "create rows.zst.tmp-1", "rename rows.zst", … in order.
  [[nodiscard]] const std::vector<std::string>& trace() const { return trace_; }

  /// What a power cut does: files lose the second half of what was never synced.
  void cut_power() {
    for (const fs::path& path : unsynced_) {
      if (fs::exists(path)) fs::resize_file(path, fs::file_size(path) / 2);
    }
    unsynced_.clear();
  }

 private:
  class File final : public WritableFile {
   public:
    File(FaultyDisk& disk, fs::path path, std::unique_ptr<WritableFile> file)
        : disk_(disk), path_(std::move(path)), file_(std::move(file)) {}
    void write(std::string_view bytes) override {
      disk_.note_unsynced(path_);
      try {
        disk_.step("write", path_);
      } catch (const Error&) {
        if (disk_.tears()) file_->write(bytes.substr(0, bytes.size() / 2));
        throw;
      }
      file_->write(bytes);
    }
    void sync() override {
      disk_.step("sync", path_);
      disk_.note_synced(path_);
    }
    void close() override {
      disk_.step("close", path_);
      file_->close();
    }

   private:
    FaultyDisk& disk_;
    fs::path path_;
    std::unique_ptr<WritableFile> file_;
  };

  void step(const std::string& action, const fs::path& path) {
    const std::lock_guard lock(mutex_);
    ++calls_;
    trace_.push_back(action + " " + path.filename().native());
    const bool fails =
        fault_.call != 0 && (fault_.for_good ? calls_ >= fault_.call : calls_ == fault_.call);
    if (fails) throw errno_error(fault_.error_number, action, path.native());
  }
  void note_unsynced(const fs::path& path) {
    const std::lock_guard lock(mutex_);
    unsynced_.insert(path);
  }
  void note_synced(const fs::path& path) {
    const std::lock_guard lock(mutex_);
    unsynced_.erase(path);
  }
  bool tears() {
    const std::lock_guard lock(mutex_);
    return fault_.torn;
  }

  mutable std::mutex mutex_;
  Fault fault_;
  bool exchanges_ = true;
  std::int64_t calls_ = 0;
  std::vector<std::string> trace_;
  std::set<fs::path> unsynced_;
};

/// One that never fails: the real one without its syncs.
inline Disk& quick_disk() {
  static FaultyDisk disk;
  return disk;
}

}  // namespace nativo::io
