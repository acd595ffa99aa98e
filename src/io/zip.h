// Zip archives that somebody else made, read and unpacked (libzip; APPNOTE.TXT 6.3.10 is the
// format). Not here: writing them.
// Rule: an archive is hostile until all its entries have been looked at. One bad entry refuses the
// whole: there is no archive that is half unpacked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/file.h"

namespace nativo::io {

/// What an archive may be at most.
struct ZipLimits {
  std::size_t entries = 64;
  std::uint64_t bytes = std::uint64_t{8} << 30;  ///< unpacked, all entries together
  std::uint64_t ratio = 200;                     ///< unpacked / packed of an entry over 1 MiB
};

/// A file in the archive.
struct ZipEntry {
  std::string name;  ///< relative, '/' between folders, UTF-8, nothing that printable() would hide
  std::uint64_t size = 0;
  std::uint64_t index = 0;  ///< in the archive
};

/// An archive whose entries have been checked. Not thread-safe.
class ZipArchive {
 public:
  /// Throws Error(kMissingInput | kIo) when `path` cannot be read, Error(kData) that names it and
  /// the entry when the archive is cut short, inconsistent, beyond `limits`, or has an entry that
  /// is encrypted, packed by something but deflate, a link or device, absolute, with "." or ".." or
  /// an empty name in its path, with a backslash, a colon or a control character, doubled, equal to
  /// another but for case, or a file where another entry wants a folder.
  explicit ZipArchive(const fs::path& path, const ZipLimits& limits = {});
  /// The same of an archive in memory; `name` is for messages.
  ZipArchive(std::string bytes, std::string_view name, const ZipLimits& limits = {});
  ~ZipArchive();
  ZipArchive(ZipArchive&&) noexcept;
  ZipArchive& operator=(ZipArchive&&) noexcept;

  /// Its files in their order; folders are not listed.
  [[nodiscard]] const std::vector<ZipEntry>& files() const;
  /// The file of that name, or nullptr.
  [[nodiscard]] const ZipEntry* find(std::string_view name) const;

  /// A file's bytes. Throws Error(kData) when it has more than `limit`, is damaged (CRC-32), or its
  /// size is a lie.
  [[nodiscard]] std::string read(const ZipEntry& entry, std::uint64_t limit) const;

  /// Reads every file to its end. Throws as read() does.
  void verify() const;

  /// Where an entry goes below the folder (relative, as ZipEntry::name), or "" to leave it out.
  using Target = std::function<std::string(const ZipEntry&)>;

  /// Called after each piece written, with its bytes.
  using OnBytes = std::function<void(std::uint64_t)>;

  /// Writes the files that `target` wants into a temporary folder beside `folder`, which is then
  /// synced and renamed: afterwards `folder` is whole or not there. A `folder` that is there
  /// already stays as it is, and false is returned. Throws as read() and as Disk does.
  bool unpack(const fs::path& folder, const Target& target, const OnBytes& on_bytes = {},
              Disk& disk = posix_disk()) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nativo::io
