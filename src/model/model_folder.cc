#include "model/model_folder.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/strings.h"
#include "model/hf_directory.h"

namespace nativo::model {
namespace fs = std::filesystem;
namespace {

constexpr const char* kReplaced = ".replaced";

fs::path without_slash(const fs::path& folder) {
  return folder.has_filename() ? folder : folder.parent_path();
}

fs::path beside(const fs::path& folder, const char* suffix) {
  fs::path path = without_slash(folder);
  path += suffix;
  return path;
}

}  // namespace

void recover_folder(const fs::path& folder) {
  const fs::path replaced = beside(folder, kReplaced);
  std::error_code ignored;  // a folder that cannot be written can be read all the same
  if (!fs::exists(replaced / kDigestsFile, ignored)) return;
  if (fs::exists(folder, ignored)) {
    fs::remove_all(replaced, ignored);
  } else {
    fs::rename(replaced, without_slash(folder), ignored);
  }
}

void replace_folder(const fs::path& folder, const std::string& kind, io::Disk& disk,
                    const std::function<void(const fs::path&)>& write) {
  const fs::path target = without_slash(folder);
  if (fs::exists(target) && !fs::exists(target / kDigestsFile) &&
      !(fs::is_directory(target) && fs::is_empty(target))) {
    throw Error(
        ExitCode::kData,
        fmt::format("{}: exists and is not {} that nativo wrote", printable(target.string()), kind),
        "give a new folder, or remove this one");
  }
  const fs::path partial = beside(target, ".partial");
  const fs::path replaced = beside(target, kReplaced);
  recover_folder(target);
  disk.remove_all(replaced);
  disk.remove_all(partial);
  disk.make_folders(partial);
  try {
    write(partial);
    if (fs::exists(target)) disk.rename(target, replaced);
    io::commit_folder(partial, target, disk);
  } catch (...) {
    std::error_code ignored;
    if (!fs::exists(target)) fs::rename(replaced, target, ignored);
    fs::remove_all(partial, ignored);
    throw;
  }
  disk.remove_all(replaced);
}

}  // namespace nativo::model
