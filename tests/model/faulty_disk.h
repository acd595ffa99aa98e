// A disk that fails: forwards to the real one until the n-th changing call, which throws; from then
// on every call throws (a full disk), or only that one (a hiccup). Syncs are counted, not done:
// they take most of a test's time and change nothing that a test of this process can see. Several
// threads may use it at once; its settings change only while none does.
#pragma once

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "io/file.h"

namespace nativo::testing {

class FaultyDisk final : public io::Disk {
 public:
  std::int64_t calls = 0;     ///< changing calls so far
  std::int64_t fail_at = -1;  ///< number (from 0) of the call that fails; -1 = none
  bool stays_broken = true;
  int error_number = ENOSPC;

  std::unique_ptr<io::WritableFile> create(const std::filesystem::path& path) override {
    count("create", path);
    return std::make_unique<File>(*this, path, io::posix_disk().create(path));
  }
  std::unique_ptr<io::WritableFile> append(const std::filesystem::path& path) override {
    count("append", path);
    return std::make_unique<File>(*this, path, io::posix_disk().append(path));
  }
  void rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    count("rename", from);
    io::posix_disk().rename(from, to);
  }
  void sync_folder(const std::filesystem::path& folder) override { count("sync", folder); }
  void remove_all(const std::filesystem::path& path) override {
    count("remove", path);
    io::posix_disk().remove_all(path);
  }
  void make_folders(const std::filesystem::path& path) override {
    count("create folder", path);
    io::posix_disk().make_folders(path);
  }

 private:
  class File final : public io::WritableFile {
   public:
    File(FaultyDisk& disk, std::filesystem::path path, std::unique_ptr<io::WritableFile> real)
        : disk_(disk), path_(std::move(path)), real_(std::move(real)) {}
    void write(std::string_view bytes) override {
      if (disk_.fails_next()) real_->write(bytes.substr(0, bytes.size() / 2));  // torn
      disk_.count("write", path_);
      real_->write(bytes);
    }
    void sync() override { disk_.count("sync", path_); }
    void close() override {
      disk_.count("close", path_);
      real_->close();
    }

   private:
    FaultyDisk& disk_;
    std::filesystem::path path_;
    std::unique_ptr<io::WritableFile> real_;
  };

  [[nodiscard]] bool fails_next() {
    const std::lock_guard lock(mutex_);
    return next_fails();
  }
  [[nodiscard]] bool next_fails() const {
    return fail_at >= 0 && (stays_broken ? calls >= fail_at : calls == fail_at);
  }
  void count(std::string_view action, const std::filesystem::path& path) {
    const std::lock_guard lock(mutex_);
    const bool fails = next_fails();
    ++calls;
    if (fails) throw errno_error(error_number, action, path.native());
  }

  std::mutex mutex_;
};

/// One that never fails.
inline io::Disk& quick_disk() {
  static FaultyDisk disk;
  return disk;
}

}  // namespace nativo::testing
