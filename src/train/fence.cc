#include "train/fence.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "io/file.h"

namespace nativo::train {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSmallFile = 1 << 16;

struct Start {
  std::string job;
  std::int64_t restart = 0;
};

Start read_fence(const fs::path& file) {
  if (!fs::exists(file)) return {};
  const std::string where = printable(file.native());
  const Json json = parse_json(io::read_file(file, kSmallFile), where);
  const Json restart = json.is_object() ? json.value("restart", Json()) : Json();
  if (!restart.is_number_integer()) {
    throw Error(ExitCode::kData, where + ": \"restart\" is not a whole number",
                "remove the file when no other start of this run is alive");
  }
  const Json job = json.value("job", Json(""));
  return {.job = job.is_string() ? job.get<std::string>() : "",
          .restart = restart.get<std::int64_t>()};
}

std::int64_t restart_of_this_process(const fs::path& file) {
  const char* text = std::getenv("NATIVO_RESTART");
  if (text == nullptr) return read_fence(file).restart;
  std::int64_t restart = 0;
  const char* end = text + std::strlen(text);
  const auto [at, error] = std::from_chars(text, end, restart);
  if (error != std::errc() || at != end) {
    throw Error(ExitCode::kUsage,
                fmt::format("NATIVO_RESTART = \"{}\" is not a whole number", printable(text)));
  }
  return restart;
}

}  // namespace

Fence::Fence(fs::path train_dir)
    : file_(std::move(train_dir) / "fence.json"), restart_(restart_of_this_process(file_)) {}

void Fence::check() const {
  const Start newest = read_fence(file_);
  if (newest.restart <= restart_) return;
  throw Error(ExitCode::kLocked,
              fmt::format("{}: this is start {} of the run, but start {} (job {}) has taken over",
                          printable(file_.native()), restart_, newest.restart,
                          newest.job.empty() ? "unknown" : printable(newest.job)),
              "nothing was written; the newer start goes on");
}

}  // namespace nativo::train
