// One start of the ranks: started, watched, and ended when one of them is lost.
// Not here: what is done about it (supervisor.h), who is to blame (faults.h).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "launch/faults.h"
#include "launch/heartbeats.h"
#include "launch/nodes.h"
#include "launch/supervisor.h"

namespace nativo::launch {

/// What a start ended with, and when.
struct RanksEnded {
  Ending ending;
  double silence = 0.0;         ///< seconds from the last progress to the end
  double detected_after = 0.0;  ///< seconds from the last progress until the fault was seen
  double step_seconds = 0.0;    ///< median; 0 = not known
};

/// What the supervisor does meanwhile.
struct RanksHooks {
  std::function<void()> started;
  std::function<bool()> asked_to_stop;
  /// Every few tenths of a second, with the newest signs of life.
  std::function<void(const std::vector<Heartbeat>&)> look;
};

/// Runs start number `restart` on `names`, until the ranks have ended by themselves or have been
/// ended: because one was silent or hung, because srun named one that failed (it gives the others
/// KillWait to end, often half a minute, in which they wait for the dead), or because they did not
/// stop in time when they were asked to. `restart` is fenced already.
[[nodiscard]] RanksEnded run_ranks(const SupervisedRun& run, Nodes& nodes,
                                   const std::vector<std::string>& names, std::int64_t restart,
                                   const RanksHooks& hooks);

}  // namespace nativo::launch
