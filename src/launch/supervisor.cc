#include "launch/supervisor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): sigaction is POSIX
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "base/clock.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/strings.h"
#include "io/file.h"
#include "io/run_lock.h"
#include "launch/faults.h"
#include "launch/files.h"
#include "launch/health.h"
#include "launch/journal.h"
#include "launch/watchdog.h"

namespace nativo::launch {
namespace {

constexpr double kHealthSeconds = 15.0;  ///< a check takes one; a node that needs this many is ill
constexpr double kDeputySeconds = 5.0;   ///< between attempts to start deputies
constexpr double kWaitForDisk = 5.0;     ///< between looks at what all nodes share
constexpr double kGib = 1024.0 * 1024.0 * 1024.0;

volatile sig_atomic_t save_requested = 0;  // a signal handler can reach nothing else

extern "C" void on_save_signal(int /*signal*/) { save_requested = 1; }

void install_save_handler() {
  struct sigaction action = {};
  action.sa_handler = on_save_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
}

/// A fault that has not been recovered from yet.
struct OpenFault {
  double began = 0.0;  ///< Unix seconds: the last sign of progress
  std::int64_t last_step = 0;
  std::string words;
};

class Supervisor {
 public:
  Supervisor(const SupervisedRun& run, Nodes& nodes)
      : run_(run),
        options_(run.options),
        nodes_(nodes),
        journal_(run.run, run.trainings),
        budget_(options_.retries) {
    io::posix_disk().make_folders(launch_folder(run_.run));
  }

  int run() {
    install_save_handler();
    take_lock();
    const Json before = journal_.last_state();
    const fs::path beat = launch_folder(run_.run) / kSupervisorBeat;
    const auto last_beat = change_time(beat);
    const Pulse pulse(beat, fmt::format("job {}, start {}, host {}, pid {}\n", nodes_.job(),
                                        nodes_.restarts(), nodes_.here(), ::getpid()));
    find_unfinished_fault(before, last_beat);
    for (;;) {
      if (asked_to_stop()) return stopped();
      const std::vector<std::string> chosen = choose_nodes();
      if (asked_to_stop()) return stopped();
      if (chosen.empty()) return queue_again("too few healthy nodes");
      const Ending ending = run_once(chosen);
      switch (judge(ending)) {
        case Outcome::kDone:
          report("done");
          return 0;
        case Outcome::kStopped:
          return stopped();
        case Outcome::kHopeless:
          return give_up(find_blame(ending), "the same would happen again");
        case Outcome::kFault:
          break;
      }
      const Blame blame = note_fault(ending);
      nodes_.kill_ranks();
      if (asked_to_stop()) return stopped();
      if (journal_.is_overtaken(restart_)) {
        return give_up({.words = "a newer start of this run has taken over",
                        .code = static_cast<int>(ExitCode::kLocked)},
                       "it goes on");
      }
      if (!budget_.spend(journal_.newest_checkpoint())) {
        return give_up(
            blame, fmt::format("{} faults in a row without a new checkpoint", budget_.in_a_row()));
      }
      pause(budget_.pause());
    }
  }

 private:
  [[nodiscard]] static bool asked_to_stop() { return save_requested != 0 || interrupted(); }

  void pause(double seconds) const {
    const double until = monotonic_seconds() + seconds;
    while (monotonic_seconds() < until && !asked_to_stop()) ::usleep(50000);
  }

  // One supervisor a run folder. A job that Slurm has started again may find its own former self
  // on a node that was cut off: that one is overtaken, and its ranks are fenced off.
  void take_lock() {
    try {
      lock_.emplace(run_.run);
    } catch (const Error& error) {
      const Json state = journal_.last_state();
      const bool is_former_self = error.code() == ExitCode::kLocked &&
                                  state.value("job", Json()) == Json(nodes_.job()) &&
                                  state.value("job_restarts", Json(0)) < Json(nodes_.restarts());
      if (!is_former_self) throw;
      log::warn("{}; that was this job before it was queued again, and is overtaken",
                printable(error.what()));
    }
  }

  // The supervisor before us may have died without a word.
  void find_unfinished_fault(const Json& before, std::optional<double> last_beat) {
    const std::string state = before.value("state", std::string());
    if (before.contains("fault_began") && state != "done" && state != "stopped") {
      fault_ = {.began = before.value("fault_began", 0.0),
                .last_step = before.value("fault_step", std::int64_t{0}),
                .words = before.value("message", std::string())};
      return;
    }
    if (state != "running" || !last_beat) return;
    const std::string node = before.value("host", std::string());
    fault_ = {.began = *last_beat,
              .last_step = journal_.last_step(),
              .words = fmt::format("the supervisor on {} was lost", printable(node))};
    Json detail = {{"what", fault_->words},
                   {"node", node},
                   {"began", fault_->began},
                   {"detected_after", unix_seconds() - fault_->began},
                   {"action", "restart"}};
    journal_.event("fault", fault_->last_step, detail);
    log::warn("{}", fault_->words);
  }

  // The healthy nodes to start on: as many as wanted, or fewer if that is allowed. None: too few.
  // Waits while something is wrong with what all nodes share.
  std::vector<std::string> choose_nodes() {
    for (;;) {
      std::vector<std::string> names = nodes_.names();
      std::erase_if(names, [&](const std::string& name) { return excluded_.contains(name); });
      bool shared_is_good = true;
      if (options_.health_checks) names = healthy(names, shared_is_good);
      if (!shared_is_good) {
        if (restart_ == 0 && !fault_) {
          throw Error(ExitCode::kTryAgain, shared_complaint_,
                      "free space, or choose another run.dir");
        }
        log::warn("{}; waiting", shared_complaint_);
        report("waiting", {{"message", shared_complaint_}});
        pause(kWaitForDisk);
        if (asked_to_stop()) return {};
        continue;
      }
      const auto wanted = static_cast<std::size_t>(options_.nodes);
      if (names.size() > wanted) names.resize(wanted);
      const bool may_shrink = options_.on_node_loss == "shrink";
      const auto least = static_cast<std::size_t>(may_shrink ? options_.min_nodes : options_.nodes);
      if (names.size() >= least) return names;
      log::warn("{} healthy nodes of {} wanted", names.size(), least);
      return {};
    }
  }

  std::vector<std::string> healthy(const std::vector<std::string>& names, bool& shared_is_good) {
    report("checking", {{"nodes", names}});
    const double disk = std::max(options_.min_disk_gib * kGib,
                                 1.2 * static_cast<double>(journal_.checkpoint_bytes()));
    Words check = run_.self;
    check.insert(check.end(), {"doctor", "--node", "--run", run_.run.native(), "--min-disk",
                               fmt::format("{:.0f}", disk), "--min-memory",
                               fmt::format("{:.0f}", options_.min_memory_gib * kGib),
                               "--max-clock-skew", fmt::format("{}", options_.max_clock_skew),
                               "--gpus", std::to_string(options_.gpus_per_node)});
    std::vector<Words> commands;
    for (const std::string& name : names) commands.push_back(nodes_.run_on({name}, check));
    const std::vector<Output> outputs = run_commands(commands, kHealthSeconds);
    std::vector<Health> answers;
    std::vector<std::string> answered;
    for (std::size_t i = 0; i < names.size(); ++i) {
      try {
        answers.push_back(parse_health(outputs[i].out));
        answers.back().node = names[i];
      } catch (const Error&) {
        // It may come back: it is asked again next time.
        const std::string why = outputs[i].timed_out
                                    ? fmt::format("no answer within {} s", kHealthSeconds)
                                    : std::string(trim(outputs[i].err));
        log::warn("node {} cannot be used now: {}", printable(names[i]), printable(why));
        journal_.event("node_lost", journal_.last_step(), {{"node", names[i]}, {"what", why}});
      }
    }
    compare_nodes(answers);
    std::vector<std::string> good;
    for (const Health& health : answers) {
      if (!health.shared_is_good()) {
        shared_is_good = false;
        shared_complaint_ = health.complaint();
      }
      if (health.node_is_good()) {
        good.push_back(health.node);
        continue;
      }
      log::warn("node {} is left out: {}", printable(health.node), health.complaint());
      journal_.event("node_excluded", journal_.last_step(),
                     {{"node", health.node}, {"what", health.complaint()}});
      excluded_.insert(health.node);
    }
    return good;
  }

  // Starts the ranks on `names`, watches them until they end or must be ended.
  Ending run_once(const std::vector<std::string>& names) {
    restart_ = journal_.next_restart();
    journal_.raise_fence(nodes_.job(), restart_);
    const fs::path beats = heartbeat_folder(run_.run, restart_);
    const std::int64_t ranks = options_.ranks_per_node * static_cast<std::int64_t>(names.size());
    const fs::path log = ranks_log(run_.run, restart_);
    keep_deputies(names);
    Child child(nodes_.start(names, options_.ranks_per_node, run_.program),
                {{"NATIVO_JOB", nodes_.job()},
                 {"NATIVO_RESTART", std::to_string(restart_)},
                 {"NATIVO_HEARTBEATS", beats.native()},
                 {io::kLockHeldVariable, fs::weakly_canonical(run_.run).native()}},
                log);
    started_ = unix_seconds();
    report("running", {{"nodes", names}, {"ranks", ranks}});
    log::info("start {}: {} on {}", restart_,
              ranks == 1 ? "1 rank" : fmt::format("{} ranks", ranks), fmt::join(names, ", "));
    Watchdog watchdog({.silence = options_.silence_seconds,
                       .hang = options_.hang_seconds,
                       .factor = options_.hang_factor,
                       .start = options_.start_seconds},
                      ranks, monotonic_seconds());
    Ending ending;
    // Thousands of ranks are read less often: a small file each is a burden to a file server.
    const double interval = std::max(0.3, static_cast<double>(ranks) / 2000.0);
    double next_look = 0.0;
    double kill_at = 0.0;
    while (!child.poll()) {
      ::usleep(50000);
      const double now = monotonic_seconds();
      if (asked_to_stop() && !ending.asked_to_stop) {
        ending.asked_to_stop = true;
        ask_ranks_to_stop(beats);
        kill_at = now + static_cast<double>(options_.save_seconds);
      }
      if (kill_at > 0.0 && now > kill_at) {
        log::warn("the ranks did not stop within {} s and are killed", options_.save_seconds);
        end_ranks(child);
        break;
      }
      if (now < next_look) continue;
      next_look = now + interval;
      keep_deputies(names);
      const std::vector<Heartbeat> seen = read_heartbeats(beats);
      ending.finding = watchdog.look(seen, now);
      note_recovery(seen, names);
      if (!ending.finding) continue;
      log::warn("{}", ending.finding->words());
      detected_after_ = ending.finding->seconds;
      dump_stacks(*ending.finding);
      end_ranks(child);
      break;
    }
    ending.status = child.kill_and_wait();
    ending.exits = read_exits(beats);
    ending.log_tail = log_tail(log);
    silence_ = monotonic_seconds() - watchdog.last_progress();
    if (!ending.finding) detected_after_ = silence_;
    if (watchdog.median_step() > 0.0) step_seconds_ = watchdog.median_step();
    return ending;
  }

  void ask_ranks_to_stop(const fs::path& beats) const {
    log::info("asking the ranks to save and to stop");
    try {
      io::posix_disk().create(beats / "stop");
    } catch (const Error& error) {
      log::warn("{}", printable(error.what()));
    }
  }

  // Politely to whoever started them, then not.
  void end_ranks(Child& child) {
    nodes_.kill_ranks();
    for (const int signal : {0, SIGTERM}) {
      if (signal != 0) child.signal(signal);
      for (int i = 0; i < 20 && !child.poll(); ++i) ::usleep(50000);
    }
    child.kill_and_wait();
  }

  void dump_stacks(const Finding& finding) const {
    if (finding.pid <= 0 || finding.node.empty()) return;
    Words command = run_.self;
    command.insert(command.end(), {"slurm", "stacks", std::to_string(finding.pid)});
    const Output stacks = run_command(nodes_.run_on({finding.node}, command), kHealthSeconds);
    if (!stacks.ok()) {
      log::warn("no stacks of {}: {}", finding.words(), printable(trim(stacks.err)));
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

  static std::string log_tail(const fs::path& log) {
    constexpr std::size_t kTail = 16 << 10;
    try {
      std::string text = io::read_file(log);
      return text.size() <= kTail ? text : text.substr(text.size() - kTail);
    } catch (const Error&) {
      return {};
    }
  }

  Blame note_fault(const Ending& ending) {
    Blame blame = find_blame(ending);
    const double now = unix_seconds();
    if (!fault_)
      fault_ = OpenFault{.began = now - silence_, .last_step = journal_.last_step(), .words = {}};
    fault_->words = blame.words;
    Json detail = {{"what", blame.words},
                   {"restart", restart_},
                   {"began", now - silence_},
                   {"detected_after", detected_after_}};
    if (blame.rank >= 0) detail["rank"] = blame.rank;
    if (!blame.node.empty()) detail["node"] = blame.node;
    journal_.event("fault", journal_.last_step(), detail);
    ++faults_;
    log::warn("fault: {}", blame.words);
    report("recovering", {{"message", blame.words}});
    return blame;
  }

  void note_recovery(const std::vector<Heartbeat>& beats, const std::vector<std::string>& names) {
    if (!fault_) return;
    const auto training =
        std::ranges::find_if(beats, [](const Heartbeat& b) { return b.first >= 0; });
    if (training == beats.end()) return;
    const double down = unix_seconds() - fault_->began;
    const std::int64_t lost = std::max<std::int64_t>(0, fault_->last_step - training->first);
    // Steps that are done again take their time again.
    journal_.event("recovery", training->first,
                   {{"what", fault_->words},
                    {"restart", restart_},
                    {"nodes", names},
                    {"steps_lost", lost},
                    {"seconds_down", down},
                    {"seconds_lost", down + static_cast<double>(lost) * step_seconds_}});
    log::info("training again after {:.1f} s, from step {}; {} steps are done again", down,
              training->first, lost);
    fault_.reset();
    report("running", {{"nodes", names}, {"ranks", beats.size()}});
  }

  // Deputies on the other nodes notice when this process is gone.
  void keep_deputies(const std::vector<std::string>& names) {
    if (run_.config.empty() || (deputies_ && !deputies_->poll())) return;
    const double now = monotonic_seconds();
    if (now < next_deputies_) return;
    next_deputies_ = now + kDeputySeconds;
    std::vector<std::string> others = names;
    for (const std::string& name : nodes_.names()) {
      if (std::ranges::find(others, name) == others.end()) others.push_back(name);
    }
    std::erase_if(others, [&](const std::string& name) {
      return name == nodes_.here() || excluded_.contains(name);
    });
    deputies_.reset();
    if (others.empty()) return;
    Words command = run_.self;
    command.insert(command.end(), {"slurm", "deputy", "-c", run_.config.native()});
    deputies_.emplace(nodes_.run_on(others, command), std::map<std::string, std::string>{},
                      launch_folder(run_.run) / "deputies.log");
  }

  int stopped() {
    if (save_requested != 0 && !interrupted()) return queue_again("the job's time is over");
    report("stopped");
    log::info("stopped; the same command continues");
    return static_cast<int>(ExitCode::kTryAgain);
  }

  int queue_again(const std::string& why) {
    const bool may_shrink = options_.on_node_loss == "shrink";
    const std::int64_t least = may_shrink ? options_.min_nodes : options_.nodes;
    report("queued", {{"message", why}});
    journal_.event("requeue", journal_.last_step(), {{"what", why}});
    const std::vector<std::string> bad(excluded_.begin(), excluded_.end());
    if (nodes_.requeue(least, options_.nodes + options_.spare_nodes, bad)) {
      log::info("queued again: {}", why);
      // Slurm ends this process now. That it stays until then keeps the job from ending by itself.
      for (int i = 0; i < 600; ++i) ::usleep(100000);
    }
    log::error("{}, and the job cannot be queued again", why);
    report("failed", {{"message", why}});
    return static_cast<int>(ExitCode::kTryAgain);
  }

  int give_up(const Blame& blame, const std::string& why) {
    log::error("{}; {}", blame.words, why);
    journal_.event("failed", journal_.last_step(), {{"what", blame.words}, {"why", why}});
    report("failed", {{"message", blame.words}});
    const bool is_ours = blame.code > 0 && blame.code < 128;
    return is_ours ? blame.code : static_cast<int>(ExitCode::kTryAgain);
  }

  void report(const char* state, const Json& detail = Json::object()) {
    Json json = {{"state", state},
                 {"job", nodes_.job()},
                 {"job_restarts", nodes_.restarts()},
                 {"restart", restart_},
                 {"host", nodes_.here()},
                 {"pid", ::getpid()},
                 {"time", unix_seconds()},
                 {"started", started_},
                 {"faults", faults_},
                 {"excluded", std::vector<std::string>(excluded_.begin(), excluded_.end())}};
    if (fault_) {
      json["fault_began"] = fault_->began;
      json["fault_step"] = fault_->last_step;
      json["message"] = fault_->words;
    }
    json.update(detail);
    journal_.state(json);
  }

  const SupervisedRun& run_;
  const SlurmOptions& options_;
  Nodes& nodes_;
  Journal journal_;
  Budget budget_;
  std::optional<io::RunLock> lock_;
  std::optional<Child> deputies_;
  double next_deputies_ = 0.0;
  std::set<std::string> excluded_;
  std::string shared_complaint_;
  std::optional<OpenFault> fault_;
  std::int64_t restart_ = 0;
  std::int64_t faults_ = 0;
  double started_ = 0.0;         ///< of the ranks, Unix seconds
  double detected_after_ = 0.0;  ///< from the last progress to the finding that ended it
  double silence_ = 0.0;         ///< from the last progress to the end of the last start
  double step_seconds_ = 0.0;    ///< median, of the last start that had one
};

}  // namespace

int supervise(const SupervisedRun& run, Nodes& nodes) { return Supervisor(run, nodes).run(); }

}  // namespace nativo::launch
