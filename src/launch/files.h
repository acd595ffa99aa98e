// What launching leaves in a run folder, by name. Format: docs/formats/launch.md.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>

namespace nativo::launch {

namespace fs = std::filesystem;

inline constexpr const char* kLaunchFolder = "launch";              ///< in the run folder
inline constexpr const char* kSupervisorLog = "supervisor.log";     ///< what the supervisor says
inline constexpr const char* kSupervisorState = "supervisor.json";  ///< what it does now
inline constexpr const char* kSupervisorBeat = "supervisor.beat";   ///< touched every second
inline constexpr const char* kJobs = "jobs.jsonl";                  ///< a line a submission
inline constexpr const char* kScript = "job.sh";
inline constexpr const char* kConfig = "nativo.toml";  ///< the options as submitted, paths absolute

[[nodiscard]] inline fs::path launch_folder(const fs::path& run) { return run / kLaunchFolder; }

/// What the ranks of start number `restart` print.
[[nodiscard]] inline fs::path ranks_log(const fs::path& run, std::int64_t restart) {
  return launch_folder(run) / fmt::format("ranks-{:05}.log", restart);
}

/// Where they show signs of life.
[[nodiscard]] inline fs::path heartbeat_folder(const fs::path& run, std::int64_t restart) {
  return launch_folder(run) / fmt::format("heartbeats-{:05}", restart);
}

}  // namespace nativo::launch
