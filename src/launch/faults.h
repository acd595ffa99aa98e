// What ended the ranks, and what is to be done about it. Pure decisions; the supervisor acts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launch/heartbeats.h"
#include "launch/options.h"
#include "launch/watchdog.h"

namespace nativo::launch {

/// How one start of the ranks ended.
struct Ending {
  int status = 0;                       ///< of the command that started them
  std::vector<RankExit> exits = {};     ///< what ranks said themselves
  std::optional<Finding> finding = {};  ///< the watchdog's, when it ended them
  std::string log_tail = {};            ///< the end of what they printed
  bool asked_to_stop = false;           ///< by us
  /// A rank's last sign of life is from the midst of training: it did not end by itself. With
  /// --no-kill, srun ends with 0 when all nodes of its step are lost.
  bool cut_short = false;
};

enum class Outcome {
  kDone,      ///< all ranks ended well
  kStopped,   ///< they stopped because they were asked to
  kHopeless,  ///< the same would happen again: wrong options, missing or damaged input
  kFault,     ///< worth another start
};

/// Who and what is to blame.
struct Blame {
  std::int64_t rank = -1;  ///< -1 = not known
  std::string node = {};   ///< "" = not known
  std::string words = {};  ///< for people
  int code = 0;            ///< exit code of the rank, or of the command when that is not known
};

[[nodiscard]] Outcome judge(const Ending& ending);
[[nodiscard]] Blame find_blame(const Ending& ending);

/// The rank that srun or mpirun names first as having failed, by what they print:
///   "srun: error: n2: task 3: Killed", "srun: error: n2: tasks 3,5: Exited with exit code 65",
///   "srun: error: Node failure on n2" (no rank is known then),
///   "mpirun noticed that process rank 3 with PID 77 on node n2 exited on signal 9 (Killed)."
[[nodiscard]] std::optional<Blame> blame_in_log(std::string_view log);

/// "killed by signal 9", "exit code 75".
[[nodiscard]] std::string status_words(int status);

/// How many faults in a row, without a new checkpoint between them, have been answered.
class Budget {
 public:
  explicit Budget(std::int64_t retries) : retries_(retries) {}

  /// Counts a fault; `newest_checkpoint` tells whether there was progress since the last one. False
  /// when there must not be another start.
  [[nodiscard]] bool spend(std::optional<std::int64_t> newest_checkpoint);
  /// Seconds to wait before the next start: none after the first fault, then 2, 4, ... 60.
  [[nodiscard]] double pause() const;
  [[nodiscard]] std::int64_t in_a_row() const { return in_a_row_; }

 private:
  std::int64_t retries_;
  std::int64_t in_a_row_ = 0;
  std::optional<std::int64_t> checkpoint_;
};

}  // namespace nativo::launch
