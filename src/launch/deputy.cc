#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "io/file.h"
#include "launch/files.h"
#include "launch/journal.h"
#include "launch/supervisor.h"

namespace nativo::launch {

void deputize(const fs::path& run, const SlurmOptions& options, Nodes& nodes) {
  const fs::path beat = launch_folder(run) / kSupervisorBeat;
  const auto owner = [&]() -> std::string {
    try {
      return io::read_file(beat, 1 << 16);
    } catch (const Error&) {
      return {};  // it is being replaced, or the file system is away
    }
  };
  const std::string ours = owner();
  auto last = change_time(beat);
  double seen = monotonic_seconds();
  while (!interrupted()) {
    ::usleep(500000);
    const auto now = change_time(beat);
    if (now != last) {
      last = now;
      seen = monotonic_seconds();
      const std::string theirs = owner();
      if (!theirs.empty() && theirs != ours) return;
    }
    if (monotonic_seconds() - seen < options.silence_seconds) continue;
    log::warn("the supervisor gave no sign of life for {} s; job {} is queued again",
              options.silence_seconds, nodes.job());
    const std::int64_t least = options.on_node_loss == "shrink" ? options.min_nodes : options.nodes;
    if (nodes.requeue(least, options.nodes + options.spare_nodes, {})) return;
  }
}

}  // namespace nativo::launch
