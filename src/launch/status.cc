#include "launch/status.h"

#include <fmt/format.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill is POSIX

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/strings.h"
#include "io/run_lock.h"
#include "launch/files.h"
#include "launch/journal.h"
#include "launch/nodes.h"
#include "launch/slurm.h"

namespace nativo::launch {
namespace {

constexpr double kSilent = 5.0;  ///< seconds after which a rank is worth a line
constexpr std::size_t kEvents = 5;

template <class T>
T value_or(const Json& json, const char* key, T otherwise) {
  try {
    return json.value(key, otherwise);
  } catch (const Json::exception&) {
    return otherwise;
  }
}

/// The training that wrote last.
fs::path active_training(const fs::path& run) {
  fs::path newest = run / "train";
  double when = 0.0;
  for (const fs::path& training : {run / "train", run / "base", run}) {
    const auto changed = change_time(training / "metrics.jsonl");
    if (changed && *changed > when) {
      when = *changed;
      newest = training;
    }
  }
  return newest;
}

void read_progress(const fs::path& training, RunStatus& status) {
  const std::vector<Json> lines = last_json_lines(training / "metrics.jsonl", 33);
  std::vector<double> seconds;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const double between = value_or(lines[i], "time", 0.0) - value_or(lines[i - 1], "time", 0.0);
    if (between > 0.0) seconds.push_back(between);
  }
  if (!seconds.empty()) {
    const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
    std::ranges::nth_element(seconds, middle);
    status.step_seconds = *middle;
  }
  if (!lines.empty()) {
    status.step = value_or<std::int64_t>(lines.back(), "step", 0);
    if (lines.back().contains("loss") && lines.back()["loss"].is_number()) {
      status.loss = lines.back()["loss"].get<double>();
    }
  }
  for (Json& line : last_json_lines(training / "events.jsonl", 100)) {
    const std::string name = value_or(line, "event", std::string());
    if (name == "fault" || name == "recovery" || name == "requeue" || name == "grow" ||
        name == "failed" || name == "node_excluded") {
      status.events.push_back(std::move(line));
    }
  }
  if (status.events.size() > kEvents) {
    status.events.erase(status.events.begin(),
                        status.events.end() - static_cast<std::ptrdiff_t>(kEvents));
  }
}

std::string last_job(const fs::path& run) {
  const std::vector<Json> jobs = last_json_lines(launch_folder(run) / kJobs, 1);
  return jobs.empty() ? std::string() : value_or(jobs.front(), "job", std::string());
}

void ask_slurm(RunStatus& status) {
  if (status.job.empty() || status.job == "local") return;
  try {
    const JobState state = job_state(status.job);
    status.job_state = state.state;
    status.nodes = state.nodes;
    status.reason = state.reason;
  } catch (const Error&) {
    return;  // the run folder can be looked at from where there is no Slurm
  }
}

bool is_at_work(const std::string& state) {
  return state == "running" || state == "waiting" || state == "checking" || state == "recovering";
}

std::string event_words(const Json& event) {
  std::string text = value_or(event, "event", std::string()) + " at step " +
                     std::to_string(value_or<std::int64_t>(event, "step", 0));
  if (const std::string what = value_or(event, "what", std::string()); !what.empty()) {
    text += ": " + what;
  }
  if (event.contains("seconds_lost")) {
    text += fmt::format("; {} steps and {} lost", value_or<std::int64_t>(event, "steps_lost", 0),
                        human_duration(value_or(event, "seconds_lost", 0.0)));
  }
  return text;
}

fs::path newest_ranks_log(const fs::path& run) {
  fs::path newest;
  std::error_code error;
  for (fs::directory_iterator entry(launch_folder(run), error);
       !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().native();
    if (name.starts_with("ranks-") && name.ends_with(".log") &&
        (newest.empty() || name > newest.filename().native())) {
      newest = entry->path();
    }
  }
  return newest;
}

}  // namespace

RunStatus read_status(const fs::path& run) {
  if (!fs::is_directory(run)) {
    throw Error(ExitCode::kMissingInput, printable(run.native()) + ": no such run folder");
  }
  RunStatus status;
  const Journal journal(run, {run / "train"});
  const Json state = journal.last_state();
  status.job = last_job(run);
  const std::string supervised = value_or(state, "job", std::string());
  if (status.job.empty() || status.job == supervised) {
    status.job = supervised;
    status.state = value_or(state, "state", std::string());
    status.message = value_or(state, "message", std::string());
    status.restart = value_or<std::int64_t>(state, "restart", 0);
    status.faults = value_or<std::int64_t>(state, "faults", 0);
    status.ranks = value_or<std::int64_t>(state, "ranks", 0);
  }
  ask_slurm(status);
  read_progress(active_training(run), status);
  if (status.restart > 0) {
    const fs::path beats = heartbeat_folder(run, status.restart);
    for (Heartbeat& beat : read_heartbeats(beats)) {
      const auto changed = change_time(beats / fmt::format("rank-{:05}.json", beat.rank));
      status.steps = std::max(status.steps, beat.steps);
      status.alive.push_back(
          {.beat = std::move(beat), .silence = changed ? unix_seconds() - *changed : 0.0});
    }
  }
  return status;
}

Json to_json(const RunStatus& status) {
  Json ranks = Json::array();
  for (const RankStatus& rank : status.alive) {
    ranks.push_back({{"rank", rank.beat.rank},
                     {"node", rank.beat.node},
                     {"phase", rank.beat.phase},
                     {"step", rank.beat.step},
                     {"silence", rank.silence}});
  }
  Json json = {{"job", status.job},
               {"job_state", status.job_state},
               {"nodes", status.nodes},
               {"reason", status.reason},
               {"state", status.state},
               {"message", status.message},
               {"restart", status.restart},
               {"faults", status.faults},
               {"step", status.step},
               {"steps", status.steps},
               {"step_seconds", status.step_seconds}};
  json["loss"] = status.loss ? Json(*status.loss) : Json();
  json["ranks"] = std::move(ranks);
  json["events"] = status.events;
  return json;
}

std::string describe(const RunStatus& status, bool all_ranks) {
  if (status.job.empty()) return "never launched\n";
  std::string text = fmt::format("job    {}", printable(status.job));
  if (!status.job_state.empty()) text += " " + printable(status.job_state);
  if (!status.nodes.empty()) text += " on " + printable(status.nodes);
  if (!status.reason.empty()) text += fmt::format(" ({})", printable(status.reason));
  if (!status.state.empty()) text += ", " + printable(status.state);
  if (status.restart > 0) text += fmt::format(", start {}", status.restart);
  if (status.faults > 0) text += fmt::format(", {} faults", status.faults);
  if (!status.message.empty()) text += ": " + printable(status.message);
  text += "\n";
  if (status.step > 0 || status.steps > 0) {
    text += fmt::format("step   {}", status.step);
    if (status.steps > 0) {
      text +=
          fmt::format(" of {} ({:.0f} %)", status.steps,
                      100.0 * static_cast<double>(status.step) / static_cast<double>(status.steps));
    }
    if (status.loss) text += fmt::format(", loss {:.4f}", *status.loss);
    if (status.step_seconds > 0.0) {
      text += fmt::format(", {:.3g} s a step", status.step_seconds);
      if (status.steps > status.step && is_at_work(status.state)) {
        text += ", ETA " + human_duration(status.step_seconds *
                                          static_cast<double>(status.steps - status.step));
      }
    }
    text += "\n";
  }
  if (is_at_work(status.state) && status.ranks > 0) {
    std::int64_t alive = 0;
    std::string lines;
    for (const RankStatus& rank : status.alive) {
      const bool silent = rank.silence > kSilent;
      if (!silent) ++alive;
      if (!silent && !all_ranks) continue;
      lines += fmt::format("       rank {} on {}: {} after step {}, last sign of life {} ago\n",
                           rank.beat.rank, printable(rank.beat.node), printable(rank.beat.phase),
                           rank.beat.step, human_duration(std::max(0.0, rank.silence)));
    }
    text += fmt::format("ranks  {} of {} alive\n{}", alive, status.ranks, lines);
  }
  for (const Json& event : status.events) text += "event  " + printable(event_words(event)) + "\n";
  return text;
}

std::string stop_run(const fs::path& run) {
  const RunStatus status = read_status(run);
  if (status.job.empty()) {
    throw Error(ExitCode::kUsage, printable(run.native()) + ": this run was never launched",
                "a run in a terminal is stopped by Ctrl-C");
  }
  if (status.job != "local") {
    if (status.job_state == "PENDING") {
      cancel_job(status.job);
      return fmt::format("job {} waited and is cancelled", printable(status.job));
    }
    if (status.job_state == "RUNNING" && signal_batch(status.job, "TERM")) {
      return fmt::format("job {} saves a checkpoint and ends", printable(status.job));
    }
    throw Error(ExitCode::kUsage,
                fmt::format("job {} does not run: {}", printable(status.job),
                            status.job_state.empty() ? "Slurm cannot be asked from here"
                                                     : printable(status.job_state)));
  }
  const Json state = Journal(run, {run / "train"}).last_state();
  const std::string host = value_or(state, "host", std::string());
  if (host != host_name()) {
    throw Error(ExitCode::kUsage, fmt::format("this run is on {}", printable(host)),
                "stop it there");
  }
  try {
    const io::RunLock free(run);
  } catch (const Error& error) {
    if (error.code() != ExitCode::kLocked) throw;
    const auto pid = value_or<std::int64_t>(state, "pid", 0);
    if (pid > 1 && ::kill(static_cast<pid_t>(pid), SIGTERM) == 0) {
      return fmt::format("process {} saves a checkpoint and ends", pid);
    }
    throw;
  }
  throw Error(ExitCode::kUsage, printable(run.native()) + ": this run is not at work");
}

void print_logs(const fs::path& run, bool supervisor, bool follow) {
  const auto current = [&] {
    return supervisor ? launch_folder(run) / kSupervisorLog : newest_ranks_log(run);
  };
  fs::path file = current();
  if (!follow && (file.empty() || !fs::exists(file))) {
    throw Error(ExitCode::kMissingInput, printable(run.native()) + ": nothing was printed yet");
  }
  const Journal journal(run, {run / "train"});
  std::ifstream stream(file, std::ios::binary);
  std::string begun;  // a line whose end is not written yet
  for (;;) {
    for (std::string line; std::getline(stream, line);) {
      begun += line;
      if (stream.eof() && follow) break;
      std::fputs((printable(std::exchange(begun, {})) + "\n").c_str(), stdout);
    }
    if (!follow || interrupted()) return;
    std::fflush(stdout);
    stream.clear();
    const bool over = !is_at_work(value_or(journal.last_state(), "state", std::string("running")));
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    const fs::path newest = current();
    if (newest != file) {
      file = newest;
      stream = std::ifstream(file, std::ios::binary);
    } else if (over) {
      return;
    } else if (!stream.is_open()) {
      stream.open(file, std::ios::binary);
    }
  }
}

}  // namespace nativo::launch
