// Which rank is dead or hangs, judged by its signs of life alone. No clocks are compared: what
// counts is when a sign of life was seen to change.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launch/heartbeats.h"

namespace nativo::launch {

struct WatchLimits {
  double silence = 10.0;   ///< seconds without a beat
  double hang = 60.0;      ///< seconds without progress in a step, at least
  double factor = 10.0;    ///< and this many median steps
  double connect = 120.0;  ///< seconds until the ranks have found each other
  double start = 1800.0;   ///< seconds without progress outside of steps, or before the first beat
};

/// What is wrong with which rank.
struct Finding {
  enum class Kind { kSilent, kHangs, kNeverCame };
  Kind kind = Kind::kSilent;
  std::int64_t rank = 0;
  std::string node = {};  ///< "" = unknown
  std::int64_t pid = 0;   ///< 0 = unknown
  std::string phase = {};
  std::int64_t step = 0;
  double seconds = 0.0;  ///< since its last sign of life or of progress
  double limit = 0.0;

  [[nodiscard]] std::string words() const;
};

class Watchdog {
 public:
  /// Watches `ranks` ranks that are started at `now` (seconds of any steady clock).
  Watchdog(const WatchLimits& limits, std::int64_t ranks, double now);

  /// Looks at the beats as they are at `now`. Of several findings the likeliest cause: a silent
  /// rank before one that hangs, and of those the one that is furthest behind.
  [[nodiscard]] std::optional<Finding> look(const std::vector<Heartbeat>& beats, double now);

  /// Seconds a step, the median of those seen; 0 before the second.
  [[nodiscard]] double median_step() const;
  /// Steps done, of the rank that is furthest; -1 before training.
  [[nodiscard]] std::int64_t newest_step() const { return newest_step_; }
  /// Seconds at `now` since the last beat of `rank`; 0 when it has not come yet.
  [[nodiscard]] double silence_of(std::int64_t rank, double now) const;
  /// When the last sign of progress of any rank was seen.
  [[nodiscard]] double last_progress() const { return last_progress_; }

 private:
  struct Rank {
    Heartbeat beat;
    double beat_changed = 0.0;
    double progress_changed = 0.0;
  };
  void follow_steps(const Heartbeat& beat, double now);
  [[nodiscard]] double progress_limit(const Heartbeat& beat) const;

  WatchLimits limits_;
  std::int64_t expected_;
  double started_;
  std::map<std::int64_t, Rank> ranks_;
  std::int64_t newest_step_ = -1;
  double newest_step_at_ = 0.0;
  double last_progress_ = 0.0;
  std::vector<double> step_seconds_;  ///< of the newest steps
};

}  // namespace nativo::launch
