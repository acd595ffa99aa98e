#include "launch/batch_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/strings.h"
#include "launch/files.h"
#include "launch/shell.h"

namespace nativo::launch {
namespace {

/// A name that squeue shows in one piece.
std::string job_name(const BatchJob& job, const SlurmOptions& options) {
  if (!options.job_name.empty()) return options.job_name;
  std::string name = "nativo-" + job.run.filename().native();
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  std::ranges::replace_if(
      name, [&](char c) { return !plain(c); }, '_');
  return name;
}

class Script {
 public:
  explicit Script(std::string_view about) {
    text_ = "#!/usr/bin/env bash\n";
    for (std::string_view line : split(about, '\n')) text_ += fmt::format("# {}\n", line);
  }
  void directive(std::string_view name, std::string_view value) {
    if (!value.empty()) text_ += fmt::format("#SBATCH --{}={}\n", name, value);
  }
  void directive(std::string_view line) { text_ += fmt::format("#SBATCH {}\n", line); }
  void line(std::string_view line = "") { text_ += fmt::format("{}\n", line); }
  [[nodiscard]] std::string text() && { return std::move(text_); }

 private:
  std::string text_;
};

void require_one_line(const fs::path& path) {
  const std::string& text = path.native();
  if (std::ranges::none_of(text, [](char c) { return c == '\n' || c == '\r' || c == '\0'; }))
    return;
  throw Error(
      ExitCode::kConfig,
      fmt::format("{}: a path with a line break cannot stand in a batch script", printable(text)),
      "give run.dir another name");
}

void where_to_run(Script& script, const SlurmOptions& options) {
  script.directive("partition", options.partition);
  script.directive("account", options.account);
  script.directive("qos", options.qos);
  script.directive("constraint", options.constraint);
  script.directive("time", options.time);
  script.directive("mem", options.memory);
  if (options.cpus_per_rank > 0) {
    script.directive("cpus-per-task", std::to_string(options.cpus_per_rank));
  }
}

void begin(Script& script, const BatchJob& job, const SlurmOptions& options) {
  for (const std::string& directive : options.sbatch) script.directive(directive);
  script.line();
  script.line("set -euo pipefail");
  script.line(fmt::format("nativo={}", shell_word(job.program.native())));
  script.line(fmt::format("run={}", shell_word(job.run.native())));
  script.line(fmt::format("config={}", shell_word(job.config.native())));
}

void setup(Script& script, const SlurmOptions& options) {
  if (options.setup.empty()) return;
  script.line();
  script.line("# slurm.setup");
  for (const std::string& line : options.setup) script.line(line);
}

}  // namespace

std::string batch_script(const BatchJob& job, const SlurmOptions& options) {
  options.check();
  for (const fs::path& path : {job.program, job.run, job.config}) require_one_line(path);
  Script script(
      "Written by `nativo slurm script`. This process becomes the supervisor: it starts the ranks\n"
      "with srun, watches them and starts them again. Follow it with `nativo status`, `nativo\n"
      "logs -f` and `nativo stop`.");
  script.directive("job-name", job_name(job, options));
  const std::int64_t nodes = options.nodes + options.spare_nodes;
  script.directive("nodes", std::to_string(nodes));
  script.directive("ntasks-per-node", std::to_string(options.ranks_per_node));
  if (options.gpus_per_node > 0) {
    script.directive("gpus-per-node", std::to_string(options.gpus_per_node));
  }
  where_to_run(script, options);
  script.directive(options.requeue ? "--requeue" : "--no-requeue");
  // A lost node takes its ranks along, not the job: the supervisor decides what becomes of it.
  if (nodes > 1) script.directive("--no-kill");
  script.directive("open-mode", "append");
  script.directive("signal", fmt::format("B:USR1@{}", options.save_seconds));
  script.directive("output", "/dev/null");
  begin(script, job, options);
  script.line();
  script.line(fmt::format("mkdir -p \"$run/{}\"", kLaunchFolder));
  script.line(fmt::format("exec >>\"$run/{}/{}\" 2>&1", kLaunchFolder, kSupervisorLog));
  setup(script, options);
  script.line();
  script.line(fmt::format("exec \"$nativo\" slurm supervise -c \"$config\" --verb {}", job.verb));
  return std::move(script).text();
}

std::string stage_script(const BatchJob& job, const SlurmOptions& options, const StageJob& stage) {
  options.check();
  for (const fs::path& path : {job.program, job.run, job.config}) require_one_line(path);
  const auto about = [&] {
    switch (stage.kind) {
      case StageJob::Kind::kBefore:
        return fmt::format("Makes what comes before the stage {}, up to the step {}.", stage.stage,
                           stage.before);
      case StageJob::Kind::kPart:
        return fmt::format(
            "Each task of this array makes the blocks of the stage\n{} whose number is its own "
            "modulo {}.",
            stage.stage, stage.tasks);
      case StageJob::Kind::kJoin:
        break;
    }
    return fmt::format("Joins the blocks of the stage {}, and makes those that are missing.",
                       stage.stage);
  };
  const bool is_part = stage.kind == StageJob::Kind::kPart;
  const std::string& verb = stage.kind == StageJob::Kind::kBefore ? stage.before : stage.stage;
  Script script("Written by `nativo slurm script`. " + about());
  script.directive("job-name", job_name(job, options) + "-" + verb);
  script.directive("nodes", "1");
  script.directive("ntasks", "1");
  if (is_part) script.directive("array", fmt::format("0-{}", stage.tasks - 1));
  where_to_run(script, options);
  script.directive(options.requeue ? "--requeue" : "--no-requeue");
  script.directive("open-mode", "append");
  script.directive("output", "/dev/null");
  begin(script, job, options);
  script.line();
  script.line(fmt::format("mkdir -p \"$run/{}\"", kLaunchFolder));
  script.line(fmt::format("exec >>\"$run/{}/{}{}.log\" 2>&1", kLaunchFolder, verb,
                          is_part ? "-${SLURM_ARRAY_TASK_ID}" : ""));
  setup(script, options);
  script.line();
  const std::string prefix = options.prefix.empty() ? "" : shell_command(options.prefix) + " ";
  script.line(fmt::format(
      "exec {}\"$nativo\" {} -c \"$config\"{}", prefix, verb,
      is_part ? fmt::format(" --part \"$SLURM_ARRAY_TASK_ID/{}\"", stage.tasks) : std::string()));
  return std::move(script).text();
}

}  // namespace nativo::launch
