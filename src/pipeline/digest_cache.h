// SHA-256 of input files, remembered by path, size and time of change, so that a plan over a corpus
// or 15 GB of weights does not read them again.
#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"

namespace nativo::pipeline {

namespace fs = std::filesystem;

/// The cache of one run folder (RUN/digests.json). Losing it costs time, nothing else.
class DigestCache {
 public:
  explicit DigestCache(fs::path file);

  /// Digest of one file; Error(kMissingInput) when it cannot be read.
  [[nodiscard]] std::string file_digest(const fs::path& path);

  /// [{"name": path below `path`, "sha256"}] of a file or of all files below a folder, in name
  /// order; hidden files and manifest.json are left out.
  [[nodiscard]] Json digests(const fs::path& path);

  /// Writes the cache if something was added.
  void save();

 private:
  fs::path file_;
  Json known_ = Json::object();
  bool changed_ = false;
};

}  // namespace nativo::pipeline
