// What the supervisor leaves in the run folder: fences, events, its state. Formats:
// docs/formats/launch.md. Rule: only fences must succeed; a full disk may swallow everything else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/json.h"

namespace nativo::launch {

/// Of one run folder.
class Journal {
 public:
  /// `trainings`: the folders (TRAIN_DIR) that trainings of the run use.
  Journal(std::filesystem::path run, std::vector<std::filesystem::path> trainings);

  /// A number larger than that of every start before, whatever job it belonged to.
  [[nodiscard]] std::int64_t next_restart() const;

  /// From here on only start `restart` of `job` may commit checkpoints; tells ranks of starts
  /// before it, should one be alive, to end. Throws Error when it cannot be written.
  void raise_fence(const std::string& job, std::int64_t restart);

  /// The newest fence is of a later start than `restart`.
  [[nodiscard]] bool is_overtaken(std::int64_t restart) const;

  /// Adds {"time", "event", "step", ...detail} to events.jsonl of the training at work.
  void event(std::string_view name, std::int64_t step, const Json& detail);

  /// Drops the last line of events.jsonl when whoever wrote it died while writing. While no ranks
  /// run.
  void mend_events();

  /// Replaces launch/supervisor.json.
  void state(const Json& state);
  /// What it says; an empty object when there is none.
  [[nodiscard]] Json last_state() const;

  /// Steps of the newest checkpoint; nothing when there is none.
  [[nodiscard]] std::optional<std::int64_t> newest_checkpoint() const;
  /// Bytes of the newest checkpoint; 0 when there is none.
  [[nodiscard]] std::uint64_t checkpoint_bytes() const;
  /// Steps done, by the last line of metrics.jsonl; 0 when there is none.
  [[nodiscard]] std::int64_t last_step() const;

  [[nodiscard]] const std::filesystem::path& run() const { return run_; }

 private:
  [[nodiscard]] const std::filesystem::path& active() const;

  std::filesystem::path run_;
  std::vector<std::filesystem::path> trainings_;
};

/// Touches a file every second while it lives, so that others see that this process does. Its
/// content says whose it is.
class Pulse {
 public:
  Pulse(std::filesystem::path file, const std::string& owner);

 private:
  std::filesystem::path file_;
  std::jthread thread_;
};

/// The last lines of `file` that are JSON objects, at most `count`, in the file's order. Reads its
/// end only.
[[nodiscard]] std::vector<Json> last_json_lines(const std::filesystem::path& file,
                                                std::size_t count);

/// When `file` was last changed, Unix seconds by the file server's clock; nothing when it is not
/// there.
[[nodiscard]] std::optional<double> change_time(const std::filesystem::path& file);

}  // namespace nativo::launch
