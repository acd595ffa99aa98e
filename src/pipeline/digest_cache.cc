#include "pipeline/digest_cache.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/error.h"
#include "io/file.h"

namespace nativo::pipeline {

DigestCache::DigestCache(fs::path file) : file_(std::move(file)) {
  if (!fs::exists(file_)) return;
  // A damaged cache is only a slow start.
  const Json read = Json::parse(io::read_file(file_), nullptr, /*allow_exceptions=*/false);
  if (read.is_object()) known_ = read;
}

std::string DigestCache::file_digest(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw errno_error(errno, "open", path.native());
  const Json stamp = {static_cast<std::int64_t>(status.st_size),
                      static_cast<std::int64_t>(status.st_mtim.tv_sec),
                      static_cast<std::int64_t>(status.st_mtim.tv_nsec)};
  const std::string key = fs::absolute(path).lexically_normal().native();
  const auto found = known_.find(key);
  if (found != known_.end() && found->is_object() && found->value("stamp", Json()) == stamp &&
      found->contains("sha256") && (*found)["sha256"].is_string()) {
    return (*found)["sha256"].get<std::string>();
  }
  const std::string digest = io::file_sha256(path);
  known_[key] = {{"stamp", stamp}, {"sha256", digest}};
  changed_ = true;
  return digest;
}

Json DigestCache::digests(const fs::path& path) {
  std::vector<fs::path> files;
  if (fs::is_directory(path)) {
    for (auto entry = fs::recursive_directory_iterator(path); entry != fs::end(entry); ++entry) {
      const std::string name = entry->path().filename().native();
      if (name.starts_with('.')) {
        if (entry->is_directory()) entry.disable_recursion_pending();
        continue;
      }
      if (entry->is_regular_file() && name != "manifest.json") files.push_back(entry->path());
    }
    std::sort(files.begin(), files.end());
  } else {
    files.push_back(path);
  }
  Json list = Json::array();
  for (const fs::path& file : files) {
    const fs::path name = file == path ? file.filename() : file.lexically_relative(path);
    list.push_back({{"name", name.generic_string()}, {"sha256", file_digest(file)}});
  }
  return list;
}

void DigestCache::save() {
  if (!changed_) return;
  io::write_file_atomically(file_, dump_json_pretty(known_));
  changed_ = false;
}

}  // namespace nativo::pipeline
