// Argos Translate's packages: what lies in a .argosmodel file or folder, checked. Not here:
// translating (translate/argos_engine.h), fetching (translate/argos_fetch.h).
// Rule: a package is what its digests say. An archive beside which a lock file lies must be the one
// that was fetched; what was unpacked must be what was in the archive.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "io/file.h"

namespace nativo::translate {

namespace fs = std::filesystem;

/// metadata.json, and an entry of the index.
struct ArgosMetadata {
  std::string from;     ///< from_code
  std::string to;       ///< to_code
  std::string version;  ///< package_version: numbers with points
  std::string argos_version;
  std::string target_prefix;  ///< a token that each translation begins with; "" = none

  [[nodiscard]] std::string name() const { return from + "_" + to + " " + version; }
};

/// Throws Error(kData) naming `where` and the key when it is no translation package's metadata:
/// keys of another type, codes that are no language's, another "type" than "translate".
[[nodiscard]] ArgosMetadata parse_argos_metadata(const Json& json, std::string_view where);

/// Less than, equal to or more than 0 as version `a` is before, the same as or after `b`.
[[nodiscard]] int compare_versions(std::string_view a, std::string_view b);

/// How a package cuts words.
enum class ArgosSubwords { kSentencePiece, kMosesBpe };

/// A package that can be loaded: `folder` has metadata.json, model/ and a tokenizer.
struct ArgosPackage {
  fs::path folder;
  ArgosMetadata metadata;
  ArgosSubwords subwords = ArgosSubwords::kSentencePiece;
  std::string digest;  ///< SHA-256 over the digests of the files that translating reads

  [[nodiscard]] fs::path tokenizer() const;  ///< sentencepiece.model or bpe.model
  [[nodiscard]] fs::path model() const { return folder / "model"; }
};

/// What a path means: a .argosmodel file, a package's folder (also one with a single folder in it,
/// as archives have it), or a folder of packages. Ascending; of a folder of packages its archives
/// and folders. Throws Error(kMissingInput) when there is none.
[[nodiscard]] std::vector<fs::path> find_argos_packages(const fs::path& path);

/// The metadata of a file or folder that find_argos_packages() gave; nothing is unpacked.
[[nodiscard]] ArgosMetadata read_argos_metadata(const fs::path& path);

/// Opens a file or folder that find_argos_packages() gave. An archive is held to its lock file, if
/// there is one, and unpacked once into "NAME.unpacked-DIGEST" beside it, without the sentence
/// splitters (they hold pickles; nativo has its own). Throws Error(kData) naming the file when
/// something is missing, doubled, damaged or changed.
[[nodiscard]] ArgosPackage open_argos_package(const fs::path& path,
                                              io::Disk& disk = io::posix_disk());

/// What was fetched from where; lies beside the file as "NAME.lock.json".
struct PackageLock {
  std::string url;
  std::string sha256;
  std::uint64_t bytes = 0;
};

[[nodiscard]] fs::path lock_path(const fs::path& package);
void write_package_lock(const fs::path& package, const PackageLock& lock,
                        io::Disk& disk = io::posix_disk());
/// The archive's SHA-256. Throws Error(kData) when a lock file says another, or is damaged.
[[nodiscard]] std::string verify_package_lock(const fs::path& package);

/// From one language to another.
struct LanguagePair {
  std::string from;
  std::string to;
};

/// The indices of the pairs that lead from `from` to `to` in the fewest steps; of equally short
/// ways the one whose languages come first in the alphabet, step by step, and of equal pairs the
/// first. Empty when there is no way, or nothing to do.
[[nodiscard]] std::vector<std::size_t> shortest_route(std::span<const LanguagePair> pairs,
                                                      std::string_view from, std::string_view to);

}  // namespace nativo::translate
