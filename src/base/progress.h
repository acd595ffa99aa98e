// How far a long job is: one live line with an ETA on a terminal, a plain line every 10 s
// elsewhere.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

namespace nativo {

/// Reports the progress of one job on stderr. Thread-safe.
class Progress {
 public:
  /// `label` names the job; `total` is the number of units (0 = unknown); `unit` is its plural
  /// name.
  Progress(std::string label, std::uint64_t total, std::string unit);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Adds finished units. `already` units were done by an earlier, interrupted run: they count in
  /// the position but not in the speed.
  void advance(std::uint64_t units = 1);
  void already(std::uint64_t units);

  /// Text shown behind the figures, e.g. "loss 2.31"; replaces the one before.
  void note(std::string text);

 private:
  void show(bool force);

  std::mutex mutex_;
  std::string label_;
  std::string unit_;
  std::string note_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  std::uint64_t skipped_ = 0;
  double start_;
  double last_shown_;
  double interval_;
};

}  // namespace nativo
