// Argos packages from the network: the index says where they are, the file comes in pieces, and
// what came is recorded beside it. Not here: what a package holds (translate/argos_package.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/download.h"
#include "translate/argos_package.h"

namespace nativo::translate {

/// A package of the index.
struct IndexEntry {
  ArgosMetadata metadata;
  std::vector<std::string> links;  ///< http and https, in their order
};

/// Reads index.json: a list of metadata with "links". What is no translation package, or cannot be
/// fetched over the network, is left out. Throws Error(kData) naming `where` when it is no such
/// list.
[[nodiscard]] std::vector<IndexEntry> parse_argos_index(std::string_view json,
                                                        std::string_view where);

/// The newest package from `from` to `to` (of equal versions the first). Throws
/// Error(kMissingInput) that names the packages of the shortest way through other languages, if
/// there is one.
[[nodiscard]] const IndexEntry& choose_package(std::span<const IndexEntry> index,
                                               const std::string& from, const std::string& to);

struct ArgosFetchOptions {
  std::string index =
      "https://raw.githubusercontent.com/argosopentech/argospm-index/main/index.json";
  std::string folder = ".";
  io::DownloadOptions download{};
};

/// What "argos:en-it" or "argos:en_it" asks for. Throws Error(kUsage) when it is no such name.
[[nodiscard]] LanguagePair parse_argos_name(std::string_view name);

/// Fetches the newest package of `pair` into the folder, checks that it is a whole package of these
/// languages, and writes its lock file. A package that is there already, as its lock file says, is
/// not fetched again. Its path. Throws Error(kLocked) when another process fetches into the folder,
/// and as io::download, open_argos_package and choose_package do.
[[nodiscard]] fs::path fetch_argos(const LanguagePair& pair, const ArgosFetchOptions& options);

}  // namespace nativo::translate
