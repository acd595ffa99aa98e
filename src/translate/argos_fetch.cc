#include "translate/argos_fetch.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/strings.h"
#include "io/run_lock.h"
#include "io/zip.h"

namespace nativo::translate {
namespace {

constexpr std::uint64_t kMaxIndex = std::uint64_t{16} << 20;

bool is_web(std::string_view link) {
  return link.starts_with("https://") || link.starts_with("http://");
}

std::string file_name(const ArgosMetadata& metadata) {
  std::string version = metadata.version;
  std::replace(version.begin(), version.end(), '.', '_');
  return fmt::format("translate-{}_{}-{}.argosmodel", metadata.from, metadata.to, version);
}

std::vector<IndexEntry> fetch_index(io::HttpClient& client, const ArgosFetchOptions& options,
                                    const fs::path& folder) {
  const fs::path file = folder / "index.json.fetched";
  io::DownloadOptions how = options.download;
  how.limit = kMaxIndex;
  io::download(client, options.index, file, "index", how);
  const std::string json = io::read_file(file, kMaxIndex);
  fs::remove(file);
  return parse_argos_index(json, io::shown_url(options.index));
}

/// Throws when `path` is not a package from and to these languages with every byte in its place.
void check_package(const fs::path& path, const ArgosMetadata& wanted) {
  const ArgosMetadata metadata = read_argos_metadata(path);
  if (metadata.from != wanted.from || metadata.to != wanted.to) {
    throw Error(ExitCode::kData, fmt::format("{}: translates {} to {}, not {} to {}", path.native(),
                                             metadata.from, metadata.to, wanted.from, wanted.to));
  }
  io::ZipArchive(path).verify();
}

/// From the first of the links that gives a package.
std::string fetch_file(io::HttpClient& client, const IndexEntry& entry, const fs::path& path,
                       const ArgosFetchOptions& options) {
  std::optional<Error> last;
  for (const std::string& link : entry.links) {
    // The index decides what is safe enough: what came over TLS leads nowhere else.
    if (options.index.starts_with("https://") && !link.starts_with("https://")) continue;
    try {
      io::download(client, link, path, entry.metadata.from + "-" + entry.metadata.to,
                   options.download);
      check_package(path, entry.metadata);
      return link;
    } catch (const Error& error) {
      if (interrupted()) throw;  // what has come is kept
      std::error_code ignored;
      fs::remove(path, ignored);
      if (last) log::warn("{}", printable(last->what()));
      last = error;
    }
  }
  if (last) throw *last;
  throw Error(
      ExitCode::kData,
      fmt::format("{}: {} has no https link", io::shown_url(options.index), entry.metadata.name()),
      "take the package from elsewhere and give its path");
}

}  // namespace

std::vector<IndexEntry> parse_argos_index(std::string_view text, std::string_view where) {
  const Json json = parse_json(text, where);
  if (!json.is_array()) {
    throw Error(ExitCode::kData, fmt::format("{}: is no JSON list", printable(where)),
                "the index of packages is a list of their metadata");
  }
  std::vector<IndexEntry> entries;
  for (const Json& each : json) {
    if (!each.is_object() || !each.contains("links") || !each.at("links").is_array()) continue;
    IndexEntry entry;
    try {
      entry.metadata = parse_argos_metadata(each, where);
    } catch (const Error&) {
      continue;  // sentence splitters and what else there is
    }
    for (const Json& link : each.at("links")) {
      if (link.is_string() && is_web(link.get<std::string>())) entry.links.push_back(link);
    }
    if (!entry.links.empty()) entries.push_back(std::move(entry));
  }
  return entries;
}

const IndexEntry& choose_package(std::span<const IndexEntry> index, const std::string& from,
                                 const std::string& to) {
  const IndexEntry* best = nullptr;
  std::vector<LanguagePair> pairs;
  for (const IndexEntry& entry : index) {
    pairs.push_back({entry.metadata.from, entry.metadata.to});
    if (entry.metadata.from != from || entry.metadata.to != to) continue;
    if (best == nullptr || compare_versions(entry.metadata.version, best->metadata.version) > 0) {
      best = &entry;
    }
  }
  if (best != nullptr) return *best;
  std::set<std::string> targets;
  for (const LanguagePair& pair : pairs) {
    if (pair.from == from) targets.insert(pair.to);
  }
  std::string way;
  for (const std::size_t i : shortest_route(pairs, from, to)) {
    way += fmt::format(" argos:{}-{}", pairs[i].from, pairs[i].to);
  }
  std::string hint = "there is a way through other languages, in one folder: nativo fetch" + way;
  if (way.empty() && targets.empty()) {
    hint = "it has none from that language; languages are ISO 639-1 codes: argos:en-it";
  } else if (way.empty()) {
    hint =
        printable(fmt::format("from that language it has packages to {}, and none leads on to the "
                              "other",
                              fmt::join(targets, ", ")));
  }
  throw Error(
      ExitCode::kMissingInput,
      fmt::format("the index has no package from \"{}\" to \"{}\"", printable(from), printable(to)),
      std::move(hint));
}

LanguagePair parse_argos_name(std::string_view name) {
  constexpr std::string_view kScheme = "argos:";
  const std::string_view pair = name.starts_with(kScheme) ? name.substr(kScheme.size()) : "";
  const std::size_t line = pair.find_first_of("-_");
  if (line == pair.npos || line == 0 || line + 1 == pair.size()) {
    throw Error(ExitCode::kUsage, fmt::format("\"{}\" names no package", printable(name)),
                "write argos:FROM-TO, as in argos:en-it");
  }
  return {std::string(pair.substr(0, line)), std::string(pair.substr(line + 1))};
}

fs::path fetch_argos(const LanguagePair& pair, const ArgosFetchOptions& options) {
  const fs::path folder = options.folder;
  const io::RunLock lock(folder);
  io::HttpClient client;
  const std::vector<IndexEntry> index = fetch_index(client, options, folder);
  const IndexEntry& entry = choose_package(index, pair.from, pair.to);
  const fs::path path = folder / file_name(entry.metadata);
  if (fs::exists(path)) {
    if (!fs::exists(lock_path(path))) {
      throw Error(ExitCode::kData,
                  fmt::format("{}: is there, but nothing says from where", path.native()),
                  "use it as it is, or remove it to have it fetched");
    }
    (void)verify_package_lock(path);
    return path;
  }
  const fs::path fetched = path.native() + ".fetched";
  PackageLock record;
  record.url = fetch_file(client, entry, fetched, options);
  record.sha256 = io::file_sha256(fetched);
  record.bytes = fs::file_size(fetched);
  write_package_lock(path, record);
  io::posix_disk().rename(fetched, path);
  io::posix_disk().sync_folder(folder);
  return path;
}

}  // namespace nativo::translate
