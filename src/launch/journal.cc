#include "launch/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "io/file.h"
#include "launch/files.h"

namespace nativo::launch {
namespace {

constexpr std::uint64_t kSmallFile = 1 << 20;
constexpr std::int64_t kHeartbeatsKept = 3;

/// The number behind `prefix` in `name`; -1 when it is no such name.
std::int64_t numbered(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return -1;
  name.remove_prefix(prefix.size());
  std::int64_t number = -1;
  const auto [at, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc() && at == name.data() + name.size() ? number : -1;
}

std::vector<std::pair<std::int64_t, fs::path>> numbered_entries(const fs::path& folder,
                                                                std::string_view prefix) {
  std::vector<std::pair<std::int64_t, fs::path>> found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    const std::int64_t number = numbered(entry->path().filename().native(), prefix);
    if (number >= 0) found.emplace_back(number, entry->path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::int64_t fence_of(const fs::path& training) {
  const fs::path file = training / "fence.json";
  std::error_code error;
  if (!fs::exists(file, error)) return 0;
  const Json json = parse_json(io::read_file(file, kSmallFile), printable(file.native()));
  if (!json.is_object() || !json.value("restart", Json()).is_number_integer()) {
    throw Error(ExitCode::kData, printable(file.native()) + ": \"restart\" is not a whole number",
                "remove the file when no other start of this run is alive");
  }
  return json["restart"].get<std::int64_t>();
}

/// Does what may fail, and only says so.
template <class Do>
void attempt(const char* what, const Do& work) {
  try {
    work();
  } catch (const Error& error) {
    log::warn("{}: {}", what, printable(error.what()));
  }
}

}  // namespace

Journal::Journal(fs::path run, std::vector<fs::path> trainings)
    : run_(std::move(run)), trainings_(std::move(trainings)) {
  NATIVO_CHECK(!trainings_.empty(), "a run has a training");
}

std::int64_t Journal::next_restart() const {
  std::int64_t newest = 0;
  for (const fs::path& training : trainings_) newest = std::max(newest, fence_of(training));
  for (const auto& [number, path] : numbered_entries(launch_folder(run_), "heartbeats-")) {
    newest = std::max(newest, number);
  }
  return newest + 1;
}

void Journal::raise_fence(const std::string& job, std::int64_t restart) {
  const std::string text = dump_json({{"job", job}, {"restart", restart}}) + "\n";
  for (const fs::path& training : trainings_) {
    io::posix_disk().make_folders(training);
    io::write_file_atomically(training / "fence.json", text);
  }
  io::posix_disk().make_folders(heartbeat_folder(run_, restart));
  for (const auto& entry : numbered_entries(launch_folder(run_), "heartbeats-")) {
    if (entry.first >= restart) continue;
    attempt("heartbeats of an earlier start", [&] {
      const fs::path& folder = entry.second;
      if (entry.first + kHeartbeatsKept > restart) {
        io::posix_disk().create(folder / "overtaken");
      } else {
        io::posix_disk().remove_all(folder);
      }
    });
  }
}

bool Journal::is_overtaken(std::int64_t restart) const {
  return std::ranges::any_of(
      trainings_, [&](const fs::path& training) { return fence_of(training) > restart; });
}

const fs::path& Journal::active() const {
  for (const fs::path& training : trainings_) {
    if (fs::exists(training / "metrics.jsonl")) return training;
  }
  return trainings_.front();
}

void Journal::event(std::string_view name, std::int64_t step, const Json& detail) {
  Json line = {{"time", unix_seconds()}, {"event", name}, {"step", step}};
  line.update(detail);
  attempt("events.jsonl", [&] {
    io::posix_disk().make_folders(active());  // before the first start there is none
    io::posix_disk().append(active() / "events.jsonl")->write(dump_json(line) + '\n');
  });
}

void Journal::mend_events() {
  const fs::path file = active() / "events.jsonl";
  std::error_code error;
  if (!fs::exists(file, error)) return;
  attempt("events.jsonl", [&] {
    const std::string text = io::read_file(file);
    const std::size_t whole = text.rfind('\n') + 1;  // npos + 1 = 0
    if (whole == text.size()) return;
    io::write_file_atomically(file, std::string_view(text).substr(0, whole));
  });
}

void Journal::state(const Json& state) {
  attempt("supervisor.json", [&] {
    io::write_file_atomically(launch_folder(run_) / kSupervisorState, dump_json_pretty(state));
  });
}

Json Journal::last_state() const {
  const fs::path file = launch_folder(run_) / kSupervisorState;
  std::error_code error;
  if (!fs::exists(file, error)) return Json::object();
  Json state = Json::parse(io::read_file(file, kSmallFile), nullptr, /*allow_exceptions=*/false);
  return state.is_object() ? state : Json::object();
}

std::optional<std::int64_t> Journal::newest_checkpoint() const {
  const auto all = numbered_entries(active() / "checkpoints", "step-");
  if (all.empty()) return std::nullopt;
  return all.back().first;
}

std::uint64_t Journal::checkpoint_bytes() const {
  const auto all = numbered_entries(active() / "checkpoints", "step-");
  if (all.empty()) return 0;
  std::uint64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(all.back().second, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code ignored;  // it may be evicted just now
    const std::uintmax_t size = entry->is_regular_file(ignored) ? entry->file_size(ignored) : 0;
    if (!ignored) bytes += size;
  }
  return bytes;
}

std::int64_t Journal::last_step() const {
  const std::vector<Json> line = last_json_lines(active() / "metrics.jsonl", 1);
  if (line.empty()) return 0;
  const Json step = line.front().value("step", Json());
  return step.is_number_integer() ? step.get<std::int64_t>() : 0;
}

Pulse::Pulse(fs::path file, const std::string& owner) : file_(std::move(file)) {
  io::write_file_atomically(file_, owner);
  thread_ = std::jthread([this](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      // No bytes, no space: it works on a full disk too.
      ::utimensat(AT_FDCWD, file_.c_str(), nullptr, 0);
      wake.wait_for(lock, stop, std::chrono::seconds(1), [] { return false; });
    }
  });
}

std::vector<Json> last_json_lines(const fs::path& file, std::size_t count) {
  constexpr std::streamoff kTail = 1 << 16;
  std::vector<Json> found;
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return found;
  stream.seekg(0, std::ios::end);
  const std::streamoff size = stream.tellg();
  stream.seekg(std::max<std::streamoff>(0, size - kTail));
  const std::string tail{std::istreambuf_iterator<char>(stream), {}};
  const std::vector<std::string_view> lines = split(tail, '\n');
  for (auto line = lines.rbegin(); line != lines.rend() && found.size() < count; ++line) {
    Json json = Json::parse(*line, nullptr, /*allow_exceptions=*/false);
    if (json.is_object()) found.push_back(std::move(json));
  }
  std::ranges::reverse(found);
  return found;
}

std::optional<double> change_time(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return std::nullopt;
  return static_cast<double>(status.st_mtim.tv_sec) +
         1e-9 * static_cast<double>(status.st_mtim.tv_nsec);
}

}  // namespace nativo::launch
