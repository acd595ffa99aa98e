#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "launch/nodes.h"
#include "launch/slurm.h"

namespace nativo::launch {
namespace {

constexpr const char* kStepName = "nativo-ranks";
constexpr double kSoonSeconds = 15.0;  ///< a start within these is one without waiting

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

class SlurmNodes final : public Nodes {
 public:
  SlurmNodes(const SlurmOptions& options, const std::filesystem::path& script)
      : options_(options),
        script_(script.native()),
        job_(variable("SLURM_JOB_ID")),
        here_(host_name()) {
    if (job_.empty()) {
      throw Error(
          ExitCode::kUsage, "no SLURM_JOB_ID: this is not a Slurm job",
          "nativo slurm submit -c nativo.toml starts one; nativo train --ranks N runs here");
    }
    const std::string restarts = variable("SLURM_RESTART_COUNT");
    std::from_chars(restarts.data(), restarts.data() + restarts.size(), restarts_);
    names_ = expand_nodes(variable("SLURM_JOB_NODELIST"));
  }

  [[nodiscard]] std::string job() const override { return job_; }
  [[nodiscard]] std::int64_t restarts() const override { return restarts_; }
  [[nodiscard]] std::string here() const override { return here_; }

  [[nodiscard]] std::vector<std::string> names() override {
    // A node that Slurm found dead is not in the job any more. Without an answer, as before.
    const Output answer =
        run_command({"scontrol", "show", "job", job_, "--oneliner"}, kSlurmSeconds);
    if (answer.ok()) {
      if (const auto nodes = scontrol_value(answer.out, "NodeList")) names_ = expand_nodes(*nodes);
    }
    std::vector<std::string> names = names_;
    // The supervisor's own node comes last: where there are spares, a fault of the ranks' nodes
    // then leaves it alone.
    std::stable_partition(names.begin(), names.end(),
                          [&](const std::string& name) { return name != here_; });
    return names;
  }

  [[nodiscard]] Words start(const std::vector<std::string>& nodes, std::int64_t ranks_per_node,
                            const Words& program) const override {
    const std::int64_t ranks = ranks_per_node * static_cast<std::int64_t>(nodes.size());
    Words words = step(nodes, ranks);
    words.push_back(fmt::format("--job-name={}", kStepName));
    words.push_back(fmt::format("--ntasks-per-node={}", ranks_per_node));
    words.push_back(fmt::format("--mpi={}", ranks > 1 ? options_.mpi : "none"));
    words.emplace_back("--kill-on-bad-exit=1");
    if (ranks > 1) words.emplace_back("--label");
    if (options_.gpus_per_node > 0) {
      words.push_back(fmt::format("--gpus-per-node={}", options_.gpus_per_node));
      // Each rank takes its own; GPUs that it does not see, its own cannot reach directly.
      words.emplace_back("--gpu-bind=none");
    }
    if (options_.cpus_per_rank > 0) {
      words.push_back(fmt::format("--cpus-per-task={}", options_.cpus_per_rank));
    }
    words.insert(words.end(), program.begin(), program.end());
    return words;
  }

  [[nodiscard]] Words run_on(const std::vector<std::string>& nodes,
                             const Words& command) const override {
    Words words = step(nodes, static_cast<std::int64_t>(nodes.size()));
    words.insert(words.end(), {"--ntasks-per-node=1", "--mpi=none", "--quiet"});
    words.insert(words.end(), command.begin(), command.end());
    return words;
  }

  void kill_ranks() override {
    const Output steps = run_command(
        {"squeue", "--noheader", "--steps", "--jobs=" + job_, "--format=%i %j"}, kSlurmSeconds);
    for (const std::string_view line : split(steps.out, '\n')) {
      const std::string_view word = trim(line);
      if (!word.ends_with(kStepName)) continue;
      const std::string id(word.substr(0, word.find(' ')));
      const Output killed = run_command({"scancel", "--signal=KILL", id}, kSlurmSeconds);
      if (!killed.ok()) log::warn("scancel {}: {}", id, printable(trim(killed.err)));
    }
  }

  bool requeue(std::int64_t count, const std::vector<std::string>& excluded) override {
    if (!options_.requeue) return false;
    if (!excluded.empty()) {
      update(fmt::format("ExcNodeList={}", fmt::join(excluded, ",")));
    }
    if (!run_command({"scontrol", "requeue", job_}, kSlurmSeconds).ok()) return false;
    // The first start froze how many nodes and tasks the job wants; only now can it be told anew.
    update(fmt::format("NumNodes={}", count),
           fmt::format("NumTasks={}", count * options_.ranks_per_node));
    return true;
  }

  bool are_free(std::int64_t count, const std::vector<std::string>& excluded) override {
    if (!options_.requeue) return false;
    std::vector<std::string> others = names();
    others.insert(others.end(), excluded.begin(), excluded.end());
    // The same script, so that partition, account, constraint and time are those of the job.
    const Output answer = run_command(
        {"env", "SLURM_TIME_FORMAT=%s", "sbatch", "--test-only", fmt::format("--nodes={}", count),
         fmt::format("--exclude={}", fmt::join(others, ",")), script_},
        kSlurmSeconds);
    const auto start = test_only_start(answer.out + answer.err);
    return answer.ok() && start && *start <= unix_seconds() + kSoonSeconds;
  }

 private:
  [[nodiscard]] static Words step(const std::vector<std::string>& nodes, std::int64_t tasks) {
    return {"srun", "--overlap", "--nodes=" + std::to_string(nodes.size()),
            "--ntasks=" + std::to_string(tasks),
            fmt::format("--nodelist={}", fmt::join(nodes, ","))};
  }

  void update(const std::string& what, const std::string& more = {}) const {
    // A job that was queued again gets SIGTERM, and so would this; until SIGKILL there is time.
    Words command = {"sh", "-c", R"(trap '' TERM; exec "$@")", "sh"};
    command.insert(command.end(), {"scontrol", "update", "JobId=" + job_, what});
    if (!more.empty()) command.push_back(more);
    const Output output = run_command(command, kSlurmSeconds);
    if (!output.ok()) log::warn("{}: {}", what, printable(trim(output.err)));
  }

  SlurmOptions options_;
  std::string script_;
  std::string job_;
  std::string here_;
  std::int64_t restarts_ = 0;
  std::vector<std::string> names_;
};

}  // namespace

std::unique_ptr<Nodes> slurm_nodes(const SlurmOptions& options,
                                   const std::filesystem::path& script) {
  return std::make_unique<SlurmNodes>(options, script);
}

}  // namespace nativo::launch
