// Reads the signs of life of ranks (base/heartbeat.h writes them). Format: docs/formats/launch.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace nativo::launch {

struct Heartbeat {
  std::int64_t rank = 0;
  std::int64_t restart = 0;
  std::string node;
  std::int64_t pid = 0;      ///< on that node
  std::uint64_t beat = 0;    ///< grows every second while the process lives
  double time = 0.0;         ///< Unix seconds, by the node's clock
  std::string phase;         ///< "start", "train", "evaluate", "save", "end"
  std::int64_t step = 0;     ///< steps done
  std::int64_t steps = 0;    ///< of the whole training; 0 = not known yet
  std::int64_t first = -1;   ///< steps done when this process began to train; -1 = it has not yet
  std::uint64_t pieces = 0;  ///< grows with the work done
};

/// How a rank said that it ends.
struct RankExit {
  std::int64_t rank = 0;
  int code = 0;
  std::string message;
};

/// One file's content; nothing when it is torn or no heartbeat: it is read again a moment later.
[[nodiscard]] std::optional<Heartbeat> parse_heartbeat(const std::string& text);

/// All that are there, by rank.
[[nodiscard]] std::vector<Heartbeat> read_heartbeats(const std::filesystem::path& folder);

/// All that are there, by rank.
[[nodiscard]] std::vector<RankExit> read_exits(const std::filesystem::path& folder);

}  // namespace nativo::launch
