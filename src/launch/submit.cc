#include "launch/submit.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "io/file.h"
#include "launch/files.h"
#include "launch/journal.h"
#include "launch/slurm.h"

namespace nativo::launch {
namespace {

void write_config(const BatchJob& job, const std::string& text) {
  io::posix_disk().make_folders(launch_folder(job.run));
  io::write_file_atomically(job.config, text);
}

std::string write_and_submit(const BatchJob& job, const std::string& name,
                             const std::string& script, const std::string& after) {
  const fs::path file = launch_folder(job.run) / name;
  io::write_file_atomically(file, script);
  fs::permissions(file, fs::perms::owner_exec, fs::perm_options::add);
  return submit_script(file.native(), after);
}

void refuse_second_job(const BatchJob& job) {
  const std::vector<Json> jobs = last_json_lines(launch_folder(job.run) / kJobs, 1);
  if (jobs.empty()) return;
  const Json id = jobs.front().value("job", Json());
  if (!id.is_string()) return;
  const std::string number = id.get<std::string>();
  // A fresh cluster uses numbers again: only a job that works on this folder is in the way.
  const JobState state = job_state(number);
  if (state.state != "PENDING" && state.state != "RUNNING") return;
  const Output name =
      run_command({"squeue", "--noheader", "--jobs=" + number, "--format=%o"}, kSlurmSeconds);
  const std::string script = (launch_folder(job.run) / kScript).native();
  if (name.out.find(script) == std::string::npos) return;
  throw Error(ExitCode::kLocked,
              fmt::format("job {} works on this run folder already ({})", printable(number),
                          printable(state.state)),
              "nativo status shows it, nativo stop ends it");
}

}  // namespace

std::string submit_run(const BatchJob& job, const SlurmOptions& options,
                       const std::string& config_text) {
  require_slurm();
  const std::string script = batch_script(job, options);
  refuse_second_job(job);
  write_config(job, config_text);
  const std::string number = write_and_submit(job, kScript, script, {});
  io::posix_disk()
      .append(launch_folder(job.run) / kJobs)
      ->write(dump_json({{"time", unix_seconds()}, {"job", number}, {"verb", job.verb}}) + "\n");
  return number;
}

StageJobs submit_stage(const BatchJob& job, const SlurmOptions& options,
                       const std::string& config_text, const std::string& stage,
                       const std::string& before, std::int64_t tasks) {
  require_slurm();
  write_config(job, config_text);
  const auto submit = [&](const char* suffix, const StageJob& what, const std::string& after) {
    return write_and_submit(job, stage + suffix, stage_script(job, options, what), after);
  };
  using Kind = StageJob::Kind;
  StageJobs jobs;
  jobs.before = submit("-before.sh", {.kind = Kind::kBefore, .stage = stage, .before = before}, {});
  jobs.array =
      submit("-array.sh", {.kind = Kind::kPart, .stage = stage, .before = {}, .tasks = tasks},
             "afterok:" + jobs.before);
  // Whatever became of the tasks; but an array that never ran has left nothing to be joined.
  jobs.join = submit("-join.sh", {.kind = Kind::kJoin, .stage = stage, .before = {}},
                     "afterok:" + jobs.before + ",afterany:" + jobs.array);
  return jobs;
}

}  // namespace nativo::launch
