#include "launch/supervisor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): sigaction is POSIX
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/strings.h"
#include "io/file.h"
#include "io/run_lock.h"
#include "launch/deputies.h"
#include "launch/faults.h"
#include "launch/files.h"
#include "launch/growth.h"
#include "launch/journal.h"
#include "launch/node_choice.h"
#include "launch/ranks.h"

namespace nativo::launch {
namespace {

constexpr double kWaitForDisk = 2.0;  ///< seconds between looks at what all nodes share

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
        choice_(run, nodes, journal_),
        deputies_(run, nodes),
        growth_(run, nodes, journal_),
        budget_(options_.retries) {
    io::posix_disk().make_folders(launch_folder(run_.run));
  }

  int run() {
    install_save_handler();
    if (!take_lock()) return static_cast<int>(ExitCode::kLocked);
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
      if (chosen.empty()) return queue_again("too few healthy nodes", 0);
      if (const auto more = growth_.at_recovery(chosen.size(), choice_.excluded())) grow(*more);
      const Ending ending = run_once(chosen);
      switch (judge(ending)) {
        case Outcome::kDone:
          report("done");
          return 0;
        case Outcome::kStopped:
          if (asked_to_stop() || !more_) return stopped();
          grow(*more_);
          continue;
        case Outcome::kHopeless:
          return give_up(find_blame(ending), "the same would happen again");
        case Outcome::kFault:
          break;
      }
      if (journal_.is_overtaken(restart_)) {  // what is told and written now is the other's
        log::info("a newer start of this run has taken over; this one ends");
        return static_cast<int>(ExitCode::kLocked);
      }
      const Blame blame = note_fault(ending);
      nodes_.kill_ranks();
      if (asked_to_stop()) return stopped();
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
  // on a node that was cut off: that one is overtaken, and its ranks are fenced off. False when
  // this very start of the job is looked after already: Slurm's controller, killed before it had
  // saved that the job runs, starts it twice.
  bool take_lock() {
    try {
      lock_.emplace(run_.run);
      return true;
    } catch (const Error& error) {
      const Json state = journal_.last_state();
      if (error.code() != ExitCode::kLocked || state.value("job", Json()) != Json(nodes_.job())) {
        throw;
      }
      if (state.value("job_restarts", Json(0)) < Json(nodes_.restarts())) {
        log::warn("{}; that was this job before it was queued again, and is overtaken",
                  printable(error.what()));
        return true;
      }
      if (state.value("job_restarts", Json(0)) > Json(nodes_.restarts())) throw;
      log::warn("Slurm has started job {} twice; the supervisor on {} goes on, this one ends",
                nodes_.job(), printable(state.value("host", std::string("another node"))));
      return false;
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
      report("checking");
      NodeChoice::Found found = choice_.look();
      if (found.shared_complaint.empty()) {
        const auto wanted = static_cast<std::size_t>(options_.nodes);
        if (found.names.size() > wanted) found.names.resize(wanted);
        const auto least = static_cast<std::size_t>(least_nodes(options_));
        if (found.names.size() >= least) return found.names;
        log::warn("{} healthy nodes of {} wanted", found.names.size(), least);
        return {};
      }
      if (restart_ == 0 && !fault_) {
        throw Error(ExitCode::kTryAgain, found.shared_complaint,
                    "free space, or choose another run.dir");
      }
      log::warn("{}; waiting", found.shared_complaint);
      report("waiting", {{"message", found.shared_complaint}});
      pause(kWaitForDisk);
      if (asked_to_stop()) return {};
    }
  }

  // Starts the ranks on `names`, watches them until they end or must be ended.
  Ending run_once(const std::vector<std::string>& names) {
    restart_ = journal_.next_restart();
    journal_.raise_fence(nodes_.job(), restart_);
    const std::int64_t ranks = options_.ranks_per_node * static_cast<std::int64_t>(names.size());
    deputies_.keep(choice_.excluded());
    growth_.begin(names);
    more_.reset();
    const RanksEnded ended =
        run_ranks(run_, nodes_, names, restart_,
                  {.started =
                       [&] {
                         started_ = unix_seconds();
                         report("running", {{"nodes", names}, {"ranks", ranks}});
                         log::info("start {}: {} on {}", restart_,
                                   ranks == 1 ? "1 rank" : fmt::format("{} ranks", ranks),
                                   fmt::join(names, ", "));
                       },
                   .asked_to_stop = [&] { return asked_to_stop() || more_; },
                   .look =
                       [&](const std::vector<Heartbeat>& seen) {
                         deputies_.keep(choice_.excluded());
                         note_recovery(seen, names);
                         if (!fault_ && !more_) {
                           more_ = growth_.look(choice_.excluded(), asked_to_stop);
                         }
                       }});
    silence_ = ended.silence;
    detected_after_ = ended.detected_after;
    if (ended.step_seconds > 0.0) step_seconds_ = ended.step_seconds;
    return ended.ending;
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

  [[nodiscard]] std::vector<std::string> excluded() const {
    return {choice_.excluded().begin(), choice_.excluded().end()};
  }

  int stopped() {
    if (save_requested != 0 && !interrupted()) {
      return queue_again("the job's time is over", nodes_.names().size());
    }
    report("stopped");
    log::info("stopped; the same command continues");
    return static_cast<int>(ExitCode::kTryAgain);
  }

  /// For as many nodes as may be there by then. Returns only when the job cannot be queued again.
  void requeue(const std::string& why, std::size_t there) {
    report("queued", {{"message", why}});
    journal_.event("requeue", journal_.last_step(), {{"what", why}});
    if (nodes_.requeue(nodes_to_queue_for(options_, there), excluded())) {
      log::info("queued again: {}", why);
      // Slurm ends this process now. That it stays until then keeps the job from ending by itself.
      for (int i = 0; i < 600; ++i) ::usleep(100000);
    }
    log::error("{}, and the job cannot be queued again", why);
  }

  /// Goes on with what there is when there are no more nodes after all.
  void grow(const MoreNodes& more) {
    journal_.event("grow", journal_.last_step(), {{"what", more.words}});
    log::info("{}", more.words);
    if (more.queue_for > 0) requeue(more.words, more.queue_for);
  }

  int queue_again(const std::string& why, std::size_t there) {
    requeue(why, there);
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
    Json json = {
        {"state", state},         {"job", nodes_.job()},   {"job_restarts", nodes_.restarts()},
        {"restart", restart_},    {"host", nodes_.here()}, {"pid", ::getpid()},
        {"time", unix_seconds()}, {"started", started_},   {"faults", faults_},
        {"excluded", excluded()}};
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
  NodeChoice choice_;
  Deputies deputies_;
  Growth growth_;
  std::optional<MoreNodes> more_;  ///< why the ranks are stopped, when nobody asked for it
  Budget budget_;
  std::optional<io::RunLock> lock_;
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
