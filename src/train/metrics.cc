#include "train/metrics.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"

namespace nativo::train {
namespace {

// The step of a whole line of ours, or -1.
std::int64_t step_of(std::string_view line) {
  const Json json = Json::parse(line.begin(), line.end(), nullptr, false);
  if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer()) return -1;
  return json["step"].get<std::int64_t>();
}

constexpr std::int64_t kMostRows = std::int64_t{1} << 50;

}  // namespace

std::optional<TakenBatch> taken_batch(const std::filesystem::path& path, std::int64_t step) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  const std::string text = io::read_file(path);
  std::optional<TakenBatch> taken;
  for (const std::string_view line : split(text, '\n')) {
    const std::int64_t at = step_of(line);
    if (at < 1) continue;  // before training, or torn
    if (at > step) break;
    const Json json = Json::parse(line.begin(), line.end());
    const Json offset = json.value("row_offset", Json(0));
    if (!offset.is_number_integer() || offset < 0 || offset > kMostRows) {
      throw Error(ExitCode::kData, fmt::format("{}: row_offset of step {} is no number of rows",
                                               printable(path.string()), at));
    }
    const Json batch = json.value("batch", Json());
    taken = {.batch = at == step && batch.is_string() ? batch.get<std::string>() : std::string(),
             .row_offset = offset.get<std::int64_t>()};
  }
  return taken;
}

MetricsLog::MetricsLog(const std::filesystem::path& path, std::int64_t last_step, io::Disk& disk) {
  if (std::filesystem::exists(path)) {
    const std::string old = io::read_file(path);
    std::size_t kept = 0;
    std::int64_t reached = -1;
    for (std::size_t at = 0; at < old.size();) {
      const std::size_t end = old.find('\n', at);
      if (end == std::string::npos) break;
      const std::int64_t step = step_of(std::string_view(old).substr(at, end - at));
      if (step <= reached || step > last_step) break;
      reached = step;
      kept = at = end + 1;
    }
    if (reached < last_step && last_step > 0) {
      log::warn("{}: no whole line after step {}; steps up to {} are missing in it",
                printable(path.string()), reached, last_step);
    }
    if (kept < old.size()) {
      io::write_file_atomically(path, std::string_view(old).substr(0, kept), disk);
    }
  }
  file_ = disk.append(path);
}

void MetricsLog::append(const Json& line) { file_->write(dump_json(line) + '\n'); }

void MetricsLog::sync() { file_->sync(); }

}  // namespace nativo::train
