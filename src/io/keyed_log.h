// Values by key in a folder of append-only files: what cost money or time to get and must not be
// got twice. Several processes may use one folder, on one machine or many: each appends to a file
// of its own and reads those that the others left. Rule: a line counts only when its checksum is
// right; a torn end is passed over, never repaired. Format: docs/formats/keyed-log.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "io/file.h"

namespace nativo::io {

/// Not thread-safe.
class KeyedLog {
 public:
  /// Sees every sound line, in the order of the files' names, equal keys included.
  using OnEntry = std::function<void(std::string_view key, std::string_view value)>;

  /// Makes `folder` when it is absent, takes a file to write to, and reads all that is there.
  explicit KeyedLog(fs::path folder, const OnEntry& on_entry = {}, Disk& disk = posix_disk());
  ~KeyedLog();
  KeyedLog(const KeyedLog&) = delete;
  KeyedLog& operator=(const KeyedLog&) = delete;

  /// Takes in what others have appended since, in files of theirs that are there or are new.
  void refresh();

  /// The value that came first under `key`, read again and checked again; nothing when there is
  /// none or it was damaged since.
  [[nodiscard]] std::optional<std::string> find(std::string_view key) const;

  /// Appends. It survives the end of this process, however it ends; see sync(). `key` is made of
  /// a-z, 0-9 and '-'; `value` has no line break. Throws Error when the disk fails; what was there
  /// before stays, and a later put() works.
  void put(std::string_view key, std::string_view value);
  /// What was put survives a power cut too.
  void sync();

  [[nodiscard]] std::uint64_t keys() const;     ///< different ones
  [[nodiscard]] std::uint64_t damaged() const;  ///< lines passed over when the folder was read

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nativo::io
