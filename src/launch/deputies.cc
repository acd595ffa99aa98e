#include "launch/deputies.h"

#include <unistd.h>

#include <map>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "io/file.h"
#include "launch/files.h"
#include "launch/journal.h"
#include "launch/node_choice.h"

namespace nativo::launch {
namespace {

constexpr double kAgainSeconds = 5.0;  ///< between attempts to start deputies

}  // namespace

void Deputies::keep(const std::set<std::string>& excluded) {
  if (run_.config.empty() || (child_ && !child_->poll())) return;
  const double now = monotonic_seconds();
  if (now < next_) return;
  next_ = now + kAgainSeconds;
  std::vector<std::string> others = nodes_.names();
  std::erase_if(others, [&](const std::string& name) {
    return name == nodes_.here() || excluded.contains(name);
  });
  child_.reset();
  if (others.empty()) return;
  Words command = run_.self;
  command.insert(command.end(), {"slurm", "deputy", "-c", run_.config.native()});
  child_.emplace(nodes_.run_on(others, command), std::map<std::string, std::string>{},
                 launch_folder(run_.run) / "deputies.log");
}

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
    // Without its own node, which may be gone.
    if (nodes.requeue(nodes_to_queue_for(options, nodes.names().size() - 1), {})) return;
  }
}

}  // namespace nativo::launch
