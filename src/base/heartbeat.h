// Signs of life for a supervisor: a small file that says every second what this process is doing.
// Without NATIVO_HEARTBEATS in the environment all of this does nothing.
// Rule: a beat never makes the work fail or wait; what cannot be written is not written.
// Format of the files: docs/formats/launch.md.
#pragma once

#include <cstdint>
#include <string_view>

namespace nativo::heartbeat {

/// What a process does, as far as its supervisor must know it.
enum class Phase : int {
  kStart = 0,     ///< reads, loads, makes data
  kTrain = 1,     ///< in a step
  kEvaluate = 2,  ///< between steps
  kSave = 3,      ///< waits for a checkpoint
  kEnd = 4,       ///< trained; writes the result
};

/// Begins to beat into the folder that NATIVO_HEARTBEATS names, if it does: a thread of its own
/// writes rank-NNNNN.json once a second and, on rank 0, asks this process to stop (SIGTERM) when a
/// file named "stop" appears there. When one named "overtaken" does, every rank ends at once, with
/// kLocked: another start has taken over, and those that wait for a rank that is gone would wait
/// long. Call it once, on the main thread, before other threads start.
void start_from_environment();

/// The work has come to `phase` after `step` of `steps` steps.
void progress(Phase phase, std::int64_t step, std::int64_t steps) noexcept;

/// One more piece of the same work is done.
void tick() noexcept;

/// Leaves word of how this process ends (rank-NNNNN.exit): its exit code and the reason.
void note_exit(int code, std::string_view message);

}  // namespace nativo::heartbeat
