#include "translate/argos_package.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "io/host.h"
#include "io/zip.h"

namespace nativo::translate {
namespace {

constexpr std::uint64_t kMaxMetadata = std::uint64_t{1} << 20;
constexpr const char* kMetadata = "metadata.json";
constexpr const char* kSentencePiece = "sentencepiece.model";
constexpr const char* kBpe = "bpe.model";
constexpr const char* kListing = "unpacked.json";
constexpr const char* kUnpacked = ".unpacked-";
constexpr const char* kHint = "fetch it again: nativo fetch argos:FROM-TO";

bool is_archive(const fs::path& path) { return path.extension() == ".argosmodel"; }

std::string text_of(const Json& json, const char* key, std::string_view where,
                    std::string_view otherwise) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return std::string(otherwise);
  if (!found->is_string()) {
    throw Error(ExitCode::kData, fmt::format("{}: \"{}\" is no text", printable(where), key),
                kHint);
  }
  return found->get<std::string>();
}

bool is_language(std::string_view code) {
  if (code.size() < 2 || code.size() > 16) return false;
  return std::all_of(code.begin(), code.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  });
}

bool is_version(std::string_view version) {
  if (version.size() > 32 || version.empty() || version[0] < '0' || version[0] > '9') return false;
  return std::all_of(version.begin(), version.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '.' || c == '-' || c == '+';
  });
}

/// Files that translating reads, or that people do; the rest of an archive stays packed.
bool is_wanted(std::string_view name) {
  if (name == kMetadata || name == kSentencePiece || name == kBpe) return true;
  if (name.starts_with("README") || name.starts_with("LICENSE") || name.starts_with("LICENCE")) {
    return name.find('/') == name.npos;
  }
  if (!name.starts_with("model/")) return false;
  name.remove_prefix(6);
  const bool vocabulary =
      name.find("vocabulary") != name.npos && (name.ends_with(".txt") || name.ends_with(".json"));
  return name.find('/') == name.npos &&
         (name == "model.bin" || name == "config.json" || name == "vmap.txt" || vocabulary);
}

/// The folder of the archive that is the package, "" or with a '/' at its end.
std::string top_of(const io::ZipArchive& archive, const fs::path& path) {
  std::optional<std::string> top;
  for (const io::ZipEntry& entry : archive.files()) {
    const std::size_t slash = entry.name.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : entry.name.substr(0, slash + 1);
    if (entry.name.substr(folder.size()) != kMetadata) continue;
    if (std::count(folder.begin(), folder.end(), '/') > 1) continue;
    if (top) {
      throw Error(ExitCode::kData, fmt::format("{}: holds several packages", path.native()),
                  "unpack it, and give the folder that you want");
    }
    top = folder;
  }
  if (!top) {
    throw Error(ExitCode::kData,
                fmt::format("{}: no Argos package: it has no {}", path.native(), kMetadata), kHint);
  }
  return *top;
}

ArgosMetadata metadata_of(std::string_view bytes, const std::string& where) {
  return parse_argos_metadata(parse_json(bytes, where), where);
}

/// "NAME": SHA-256 of every file below `folder` but the listing itself.
Json digests_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = fs::relative(entry.path(), folder).generic_string();
    if (entry.is_regular_file() && name != kListing) files[name] = io::file_sha256(entry.path());
  }
  return Json(files);
}

/// What is being unpacked by a process of this machine has this in its name, and its number behind.
std::string unpacking_mark() { return ".new-" + io::host_name() + ".tmp-"; }

/// Removes what processes of this machine that are no more were unpacking.
void collect_leftovers(const fs::path& package, io::Disk& disk) {
  const std::string begin = package.filename().native() + kUnpacked;
  const std::string mark = unpacking_mark();
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(fs::absolute(package).parent_path())) {
    const std::string name = entry.path().filename().native();
    const std::size_t at = name.find(mark);
    if (!name.starts_with(begin) || at == std::string::npos) continue;
    const std::string_view digits = std::string_view(name).substr(at + mark.size());
    int process = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), process);
    const bool whole = error == std::errc() && end == digits.data() + digits.size();
    if (whole && io::is_gone(process)) leftovers.push_back(entry.path());
  }
  for (const fs::path& leftover : leftovers) disk.remove_all(leftover);
}

fs::path unpack(const fs::path& path, const std::string& sha256, io::Disk& disk) {
  collect_leftovers(path, disk);
  const fs::path folder = path.native() + kUnpacked + sha256.substr(0, 16);
  if (!fs::exists(folder)) {
    const io::ZipArchive archive(path);
    const std::string top = top_of(archive, path);
    // Unpacked beside, listed, then moved under its name: what has the name is whole.
    const fs::path made =
        fs::path(fmt::format("{}{}{}", folder.native(), unpacking_mark(), ::getpid()));
    disk.remove_all(made);
    archive.unpack(
        made,
        [&](const io::ZipEntry& entry) {
          if (!entry.name.starts_with(top)) return std::string();
          const std::string name = entry.name.substr(top.size());
          return is_wanted(name) ? name : std::string();
        },
        {}, disk);
    const Json listing = {{"archive_sha256", sha256}, {"files", digests_of(made)}};
    io::write_file_atomically(made / kListing, dump_json_pretty(listing), disk);
    (void)io::commit_new_folder(made, folder, disk);
  }
  const std::string where = (folder / kListing).native();
  const Json listing = parse_json(io::read_file(where, kMaxMetadata), where);
  if (!listing.is_object() || listing.value("archive_sha256", Json()) != Json(sha256) ||
      listing.value("files", Json()) != digests_of(folder)) {
    throw Error(ExitCode::kData,
                fmt::format("{}: its files are not those that were unpacked", folder.native()),
                "remove the folder; it is made again from the archive");
  }
  return folder;
}

/// `path` itself or, when it has no metadata.json but a single folder that has, that folder.
std::optional<fs::path> package_folder(const fs::path& path) {
  if (!fs::is_directory(path)) return std::nullopt;
  if (fs::exists(path / kMetadata)) return path;
  std::vector<fs::path> inside;
  for (const auto& entry : fs::directory_iterator(path)) inside.push_back(entry.path());
  if (inside.size() == 1 && fs::exists(inside[0] / kMetadata)) return inside[0];
  return std::nullopt;
}

}  // namespace

ArgosMetadata parse_argos_metadata(const Json& json, std::string_view where) {
  const auto fail = [&](const std::string& what) {
    throw Error(ExitCode::kData, fmt::format("{}: {}", printable(where), what), kHint);
  };
  if (!json.is_object()) fail("is no JSON object");
  if (text_of(json, "type", where, "translate") != "translate") {
    fail(fmt::format("is a package of type \"{}\", not \"translate\"",
                     printable(text_of(json, "type", where, ""))));
  }
  ArgosMetadata metadata;
  metadata.from = text_of(json, "from_code", where, "");
  metadata.to = text_of(json, "to_code", where, "");
  metadata.version = text_of(json, "package_version", where, "1.0");
  metadata.argos_version = text_of(json, "argos_version", where, "");
  metadata.target_prefix = text_of(json, "target_prefix", where, "");
  if (!is_language(metadata.from)) fail("\"from_code\" is no language's code");
  if (!is_language(metadata.to)) fail("\"to_code\" is no language's code");
  if (metadata.from == metadata.to) fail("translates a language into itself");
  if (!is_version(metadata.version)) fail("\"package_version\" is no version");
  return metadata;
}

int compare_versions(std::string_view a, std::string_view b) {
  const std::vector<std::string_view> left = split(a, '.');
  const std::vector<std::string_view> right = split(b, '.');
  for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
    const auto number = [i](const std::vector<std::string_view>& parts) {
      long value = 0;
      if (i < parts.size()) {
        std::from_chars(parts[i].data(), parts[i].data() + parts[i].size(), value);
      }
      return value;
    };
    if (number(left) != number(right)) return number(left) < number(right) ? -1 : 1;
  }
  return 0;
}

fs::path ArgosPackage::tokenizer() const {
  return folder / (subwords == ArgosSubwords::kSentencePiece ? kSentencePiece : kBpe);
}

std::vector<fs::path> find_argos_packages(const fs::path& path) {
  if (!fs::exists(path)) {
    throw Error(ExitCode::kMissingInput, fmt::format("{}: no such file or folder", path.native()),
                "an Argos package is a .argosmodel file or its unpacked folder; get one with "
                "nativo fetch argos:FROM-TO");
  }
  if (fs::is_regular_file(path)) return {path};
  if (const auto folder = package_folder(path)) return {*folder};
  std::vector<fs::path> packages;
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename().native();
    if (name.find(kUnpacked) != std::string::npos) continue;
    if (entry.is_regular_file() && is_archive(entry.path())) packages.push_back(entry.path());
    if (const auto folder = package_folder(entry.path())) packages.push_back(*folder);
  }
  if (packages.empty()) {
    throw Error(ExitCode::kMissingInput, fmt::format("{}: no Argos package in it", path.native()),
                "put .argosmodel files into it, or get them with nativo fetch argos:FROM-TO");
  }
  std::sort(packages.begin(), packages.end());
  return packages;
}

ArgosMetadata read_argos_metadata(const fs::path& path) {
  if (fs::is_directory(path)) {
    const fs::path file = path / kMetadata;
    return metadata_of(io::read_file(file, kMaxMetadata), file.native());
  }
  const io::ZipArchive archive(path);
  const std::string name = top_of(archive, path) + kMetadata;
  return metadata_of(archive.read(*archive.find(name), kMaxMetadata), path.native() + "/" + name);
}

ArgosPackage open_argos_package(const fs::path& path, io::Disk& disk) {
  ArgosPackage package;
  package.folder = fs::is_directory(path) ? path : unpack(path, verify_package_lock(path), disk);
  package.metadata = read_argos_metadata(package.folder);
  // A package with both is read as Argos reads it.
  if (!fs::exists(package.folder / kSentencePiece)) package.subwords = ArgosSubwords::kMosesBpe;
  for (const fs::path& file : {package.tokenizer(), package.model() / "model.bin"}) {
    if (fs::exists(file)) continue;
    throw Error(ExitCode::kData,
                fmt::format("{}: no Argos package: it has no {}", package.folder.native(),
                            file.filename().native()),
                "a package has model/model.bin, and sentencepiece.model or bpe.model");
  }
  std::set<fs::path> files = {package.folder / kMetadata, package.tokenizer()};
  for (const auto& entry : fs::directory_iterator(package.model())) {
    if (entry.is_regular_file()) files.insert(entry.path());
  }
  std::string all;
  for (const fs::path& file : files) {
    all += fmt::format("{} {}\n", fs::relative(file, package.folder).generic_string(),
                       io::file_sha256(file));
  }
  package.digest = sha256_hex(all);
  return package;
}

fs::path lock_path(const fs::path& package) { return package.native() + ".lock.json"; }

void write_package_lock(const fs::path& package, const PackageLock& lock, io::Disk& disk) {
  const Json json = {{"url", lock.url}, {"sha256", lock.sha256}, {"bytes", lock.bytes}};
  io::write_file_atomically(lock_path(package), dump_json_pretty(json), disk);
}

std::string verify_package_lock(const fs::path& package) {
  const std::string sha256 = io::file_sha256(package);
  const fs::path path = lock_path(package);
  if (!fs::exists(path)) return sha256;
  const Json json = parse_json(io::read_file(path, kMaxMetadata), path.native());
  const auto wanted = json.is_object() ? json.find("sha256") : json.end();
  if (wanted == json.end() || !wanted->is_string()) {
    throw Error(ExitCode::kData, fmt::format("{}: has no \"sha256\"", path.native()), kHint);
  }
  if (*wanted != Json(sha256)) {
    throw Error(ExitCode::kData,
                fmt::format("{}: is not the file that was fetched: its SHA-256 is {}, {} says {}",
                            package.native(), sha256, path.filename().native(),
                            printable(wanted->get<std::string>())),
                "fetch it again, or remove the lock file if you replaced the package on purpose");
  }
  return sha256;
}

std::vector<std::size_t> shortest_route(std::span<const LanguagePair> pairs, std::string_view from,
                                        std::string_view to) {
  if (from == to) return {};
  // Breadth first; a language is reached by the first of its shortest ways, and languages of one
  // distance are taken in the order of their ways, neighbours in that of their names.
  std::map<std::string_view, std::size_t> reached_by;  // language -> pair
  std::deque<std::string_view> open = {from};
  reached_by[from] = pairs.size();
  while (!open.empty() && !reached_by.contains(to)) {
    const std::string_view language = open.front();
    open.pop_front();
    std::map<std::string_view, std::size_t> next;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      if (pairs[i].from == language && !reached_by.contains(pairs[i].to)) {
        next.try_emplace(pairs[i].to, i);
      }
    }
    for (const auto& [neighbour, pair] : next) {
      reached_by[neighbour] = pair;
      open.push_back(neighbour);
    }
  }
  std::vector<std::size_t> route;
  if (!reached_by.contains(to)) return route;
  for (std::string_view at = to; at != from;) {
    const std::size_t pair = reached_by[at];
    route.push_back(pair);
    at = pairs[pair].from;
  }
  std::reverse(route.begin(), route.end());
  return route;
}

}  // namespace nativo::translate
