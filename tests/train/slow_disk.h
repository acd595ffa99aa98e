// Disks on which checkpoints take as long as a test wants, so that training gets ahead of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <thread>
#include <utility>

#include "io/faulty_disk.h"
#include "io/file.h"

namespace nativo::train::micro {

/// Passes everything on.
class ForwardingDisk : public io::Disk {
 public:
  std::unique_ptr<io::WritableFile> create(const std::filesystem::path& path) override {
    return io::quick_disk().create(path);
  }
  std::unique_ptr<io::WritableFile> append(const std::filesystem::path& path) override {
    return io::quick_disk().append(path);
  }
  std::unique_ptr<io::WritableFile> write_at(const std::filesystem::path& path,
                                             std::uint64_t at) override {
    return io::quick_disk().write_at(path, at);
  }
  void rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    io::quick_disk().rename(from, to);
  }
  void sync_folder(const std::filesystem::path& folder) override {
    io::quick_disk().sync_folder(folder);
  }
  void remove_all(const std::filesystem::path& path) override { io::quick_disk().remove_all(path); }
  void make_folders(const std::filesystem::path& path) override {
    io::quick_disk().make_folders(path);
  }
};

/// The background thread comes to its copying (checkpoint.cc, shared_checkpoint.cc) only when
/// several steps of a micro model could have been done.
class SlowDisk final : public ForwardingDisk {
 public:
  std::unique_ptr<io::WritableFile> write_at(const std::filesystem::path& path,
                                             std::uint64_t at) override {
    linger();
    return ForwardingDisk::write_at(path, at);
  }
  void make_folders(const std::filesystem::path& path) override {
    linger();
    ForwardingDisk::make_folders(path);
  }

 private:
  /// Once a thread: every checkpoint in the background has one of its own.
  static void linger() {
    thread_local bool has_lingered = false;
    if (std::exchange(has_lingered, true)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(40));
  }
};

}  // namespace nativo::train::micro
