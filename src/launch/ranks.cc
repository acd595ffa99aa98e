#include "launch/ranks.h"

#include <fmt/format.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): SIGTERM for a group is POSIX
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "io/file.h"
#include "io/run_lock.h"
#include "launch/files.h"
#include "launch/process.h"
#include "launch/watchdog.h"

namespace nativo::launch {
namespace {

constexpr double kStacksSeconds = 10.0;     ///< of a rank whose node answers
constexpr double kDeadStacksSeconds = 2.0;  ///< of one whose whole node is silent
constexpr double kLastWordsSeconds = 0.7;   ///< for the others to say why they end
constexpr std::size_t kLogTail = 16 << 10;

class Ranks {
 public:
  Ranks(const SupervisedRun& run, Nodes& nodes, const std::vector<std::string>& names,
        std::int64_t restart)
      : run_(run),
        nodes_(nodes),
        restart_(restart),
        beats_(heartbeat_folder(run.run, restart)),
        log_(ranks_log(run.run, restart)),
        count_(run.options.ranks_per_node * static_cast<std::int64_t>(names.size())),
        child_(nodes.start(names, run.options.ranks_per_node, run.program),
               {{"NATIVO_JOB", nodes.job()},
                {"NATIVO_RESTART", std::to_string(restart)},
                {"NATIVO_HEARTBEATS", beats_.native()},
                {io::kLockHeldVariable, fs::weakly_canonical(run.run).native()}},
               log_),
        watchdog_({.silence = run.options.silence_seconds,
                   .hang = run.options.hang_seconds,
                   .factor = run.options.hang_factor,
                   .connect = run.options.connect_seconds,
                   .start = run.options.start_seconds},
                  count_, monotonic_seconds()) {}

  RanksEnded watch(const RanksHooks& hooks) {
    // Thousands of ranks are read less often: a small file each is a burden to a file server.
    const double interval = std::max(0.3, static_cast<double>(count_) / 2000.0);
    double next_look = 0.0;
    double kill_at = 0.0;    // after they were asked to stop
    double failed_at = 0.0;  // when srun was seen to name a rank
    while (!child_.poll()) {
      ::usleep(50000);
      const double now = monotonic_seconds();
      if (hooks.asked_to_stop() && !result_.ending.asked_to_stop) {
        result_.ending.asked_to_stop = true;
        ask_to_stop();
        kill_at = now + static_cast<double>(run_.options.save_seconds);
      }
      if (kill_at > 0.0 && now > kill_at) {
        log::warn("the ranks did not stop within {} s and are killed", run_.options.save_seconds);
        end();
        break;
      }
      if (failed_at > 0.0 && now > failed_at + kLastWordsSeconds) {
        end();
        break;
      }
      if (now < next_look) continue;
      next_look = now + interval;
      const std::vector<Heartbeat> seen = read_heartbeats(beats_);
      const std::optional<Finding> finding = watchdog_.look(seen, now);
      hooks.look(seen);
      if (failed_at > 0.0 || result_.ending.asked_to_stop) continue;
      if (blame_in_log(tail_of_log())) {
        failed_at = now;
        result_.detected_after = now - watchdog_.last_progress();
      } else if (finding) {
        log::warn("{}", finding->words());
        result_.ending.finding = finding;
        result_.detected_after = finding->seconds;
        dump_stacks(*finding, seen);
        end();
        break;
      }
    }
    result_.ending.status = child_.kill_and_wait();
    result_.ending.exits = read_exits(beats_);
    result_.ending.log_tail = tail_of_log();
    result_.ending.cut_short = was_cut_short();
    result_.silence = monotonic_seconds() - watchdog_.last_progress();
    if (result_.detected_after == 0.0) result_.detected_after = result_.silence;
    result_.step_seconds = watchdog_.median_step();
    return result_;
  }

 private:
  void ask_to_stop() const {
    log::info("asking the ranks to save and to stop");
    try {
      io::posix_disk().create(beats_ / "stop");
    } catch (const Error& error) {
      log::warn("{}", printable(error.what()));
    }
  }

  // Politely to whoever started them, then not.
  void end() {
    nodes_.kill_ranks();
    for (const int signal : {0, SIGTERM}) {
      if (signal != 0) child_.signal(signal);
      for (int i = 0; i < 20 && !child_.poll(); ++i) ::usleep(50000);
    }
    child_.kill_and_wait();
  }

  /// Whether no rank of `node` gives signs of life, as far as can be told from the beats' changes.
  [[nodiscard]] bool is_silent(const std::string& node, const std::vector<Heartbeat>& seen) const {
    const double now = monotonic_seconds();
    return std::ranges::none_of(seen, [&](const Heartbeat& beat) {
      return beat.node == node &&
             watchdog_.silence_of(beat.rank, now) < run_.options.silence_seconds;
    });
  }

  void dump_stacks(const Finding& finding, const std::vector<Heartbeat>& seen) const {
    if (finding.pid <= 0 || finding.node.empty()) return;
    Words command = run_.self;
    command.insert(command.end(), {"slurm", "stacks", std::to_string(finding.pid)});
    const double patience = is_silent(finding.node, seen) ? kDeadStacksSeconds : kStacksSeconds;
    const Output stacks = run_command(nodes_.run_on({finding.node}, command), patience);
    if (!stacks.ok()) {
      log::warn(
          "no stacks of rank {}: {}", finding.rank,
          stacks.timed_out ? std::string("its node does not answer") : printable(trim(stacks.err)));
      return;
    }
    const fs::path file = launch_folder(run_.run) /
                          fmt::format("stacks-{:05}-rank-{:05}.txt", restart_, finding.rank);
    try {
      io::write_file_atomically(file, stacks.out);
      log::info("its stacks are in {}", printable(file.native()));
    } catch (const Error& error) {
      log::warn("{}", printable(error.what()));
    }
  }

  [[nodiscard]] bool was_cut_short() const {
    return std::ranges::any_of(read_heartbeats(beats_), [](const Heartbeat& beat) {
      return beat.phase == "train" || beat.phase == "evaluate" || beat.phase == "save";
    });
  }

  [[nodiscard]] std::string tail_of_log() const {
    std::ifstream stream(log_, std::ios::binary);
    stream.seekg(0, std::ios::end);
    const std::streamoff size = stream.tellg();
    if (size <= 0) return {};
    stream.seekg(std::max<std::streamoff>(0, size - static_cast<std::streamoff>(kLogTail)));
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  const SupervisedRun& run_;
  Nodes& nodes_;
  std::int64_t restart_;
  fs::path beats_;
  fs::path log_;
  std::int64_t count_;
  Child child_;
  Watchdog watchdog_;
  RanksEnded result_;
};

}  // namespace

RanksEnded run_ranks(const SupervisedRun& run, Nodes& nodes, const std::vector<std::string>& names,
                     std::int64_t restart, const RanksHooks& hooks) {
  Ranks ranks(run, nodes, names, restart);
  hooks.started();
  return ranks.watch(hooks);
}

}  // namespace nativo::launch
