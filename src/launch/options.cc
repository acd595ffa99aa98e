#include "launch/options.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::launch {
namespace {

/// sbatch reads its directives line by line and splits them at white space.
void require_word(const char* key, const std::string& value) {
  const auto good = [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '\'' && c != '\\';
  };
  if (std::ranges::all_of(value, good)) return;
  throw Error(ExitCode::kConfig,
              fmt::format("slurm.{} = \"{}\": white space, quotes and control characters cannot "
                          "stand in a batch script's directives",
                          key, printable(value)),
              "give the name as sinfo and sacctmgr show it");
}

}  // namespace

void SlurmOptions::visit(config::Visitor& v) {
  v.value(
      {.name = "job_name", .help = "shown by squeue; empty = nativo- and the run folder's name"},
      job_name);
  v.value({.name = "partition", .help = "sbatch --partition; empty = the cluster's default"},
          partition);
  v.value({.name = "account", .help = "sbatch --account"}, account);
  v.value({.name = "qos", .help = "sbatch --qos"}, qos);
  v.value({.name = "constraint", .help = "sbatch --constraint: features of the nodes"}, constraint);
  v.value({.name = "time",
           .help = "time limit as sbatch takes it, e.g. 1-12:00:00; a run that needs longer is "
                   "saved and queued again"},
          time);
  v.value({.name = "memory", .help = "memory a node as sbatch --mem takes it, e.g. 480G; 0 = all"},
          memory);
  v.value({.name = "nodes", .help = "nodes that train", .min = 1, .max = 1e5}, nodes);
  v.value({.name = "spare_nodes",
           .help = "nodes allocated beside them that take the place of bad or lost ones",
           .min = 0,
           .max = 1e5},
          spare_nodes);
  v.value({.name = "ranks_per_node",
           .help = "processes a node; one a GPU where there are GPUs",
           .min = 1,
           .max = 1e4},
          ranks_per_node);
  v.value(
      {.name = "gpus_per_node", .help = "sbatch --gpus-per-node; 0 = none", .min = 0, .max = 64},
      gpus_per_node);
  v.value({.name = "cpus_per_rank",
           .help = "sbatch --cpus-per-task, and threads a rank; 0 = the cluster's default",
           .min = 0,
           .max = 4096},
          cpus_per_rank);
  v.value({.name = "mpi",
           .help = "srun --mpi: how ranks find each other; Debian's OpenMPI wants pmix",
           .choices = {"pmix", "pmi2", "none"}},
          mpi);
  v.value({.name = "sbatch", .help = "further directives, e.g. \"--reservation=training\""},
          sbatch);
  v.value({.name = "setup",
           .help = "shell lines at the start of the batch script, e.g. \"module load openmpi\""},
          setup);
  v.value({.name = "prefix",
           .help = "words before the program of every rank, e.g. [\"apptainer\", \"exec\", "
                   "\"nativo.sif\"]"},
          prefix);
  v.value({.name = "save_seconds",
           .help = "how long before the time limit, or after a pre-emption's warning, there is to "
                   "save a checkpoint",
           .min = 1,
           .max = 1e5},
          save_seconds);
  v.value({.name = "requeue",
           .help = "queue the job again after the time limit, a pre-emption or a lost node"},
          requeue);
  v.value({.name = "retries",
           .help = "faults in a row, without a new checkpoint between them, that are answered with "
                   "a restart",
           .min = 0,
           .max = 1e6},
          retries);
  v.value(
      {.name = "on_node_loss",
       .help = "when neither a healthy node nor a spare is left: wait for a node, or go on with "
               "fewer",
       .choices = {"wait", "shrink"}},
      on_node_loss);
  v.value({.name = "min_nodes", .help = "shrink: fewest nodes to go on with", .min = 1, .max = 1e5},
          min_nodes);
  v.value({.name = "grow",
           .help = "shrink: when to have nodes again that have come back or become free: after the "
                   "next checkpoint, at the recovery from the next fault, or never",
           .choices = {"checkpoint", "recovery", "never"}},
          grow);
  v.value({.name = "grow_seconds",
           .help = "shrink: seconds between looks for such nodes",
           .min = 1,
           .max = 1e7},
          grow_seconds);
  v.value({.name = "silence_seconds",
           .help = "a rank without a sign of life for so long is taken for dead; it gives one "
                   "every second. When all are silent at once, which a file system that stalls "
                   "looks like, three times as long",
           .min = 2,
           .max = 1e6},
          silence_seconds);
  v.value({.name = "hang_seconds",
           .help = "a rank that lives but gets no further in its step for so long hangs",
           .min = 1,
           .max = 1e7},
          hang_seconds);
  v.value({.name = "hang_factor",
           .help = "and so many times longer than the median step",
           .min = 1,
           .max = 1e6},
          hang_factor);
  v.value({.name = "connect_seconds",
           .help = "the same for finding the other ranks, which MPI now and then never ends",
           .min = 1,
           .max = 1e6},
          connect_seconds);
  v.value({.name = "start_seconds",
           .help = "the same outside of steps: loading, making data, evaluating, saving",
           .min = 1,
           .max = 1e7},
          start_seconds);
  v.value({.name = "health_checks",
           .help = "check every node before the start and after a fault; bad ones are left out"},
          health_checks);
  v.value({.name = "min_disk_gib",
           .help = "health: free space that the run folder must have, GiB",
           .min = 0,
           .max = 1e9},
          min_disk_gib);
  v.value({.name = "min_memory_gib",
           .help = "health: memory that must be available on a node, GiB",
           .min = 0,
           .max = 1e6},
          min_memory_gib);
  v.value({.name = "max_clock_skew",
           .help = "health: largest difference of a node's clock from the first node's, seconds",
           .min = 0,
           .max = 1e9},
          max_clock_skew);
}

void SlurmOptions::check() const {
  require_word("job_name", job_name);
  require_word("partition", partition);
  require_word("account", account);
  require_word("qos", qos);
  require_word("constraint", constraint);
  require_word("time", time);
  require_word("memory", memory);
  for (const std::string& directive : sbatch) {
    if (!directive.starts_with("-") || directive.find('\n') != std::string::npos) {
      throw Error(
          ExitCode::kConfig,
          fmt::format("slurm.sbatch: \"{}\" is not an option of sbatch", printable(directive)),
          "one option each, such as \"--reservation=training\"");
    }
  }
  if (min_nodes > nodes) {
    throw Error(ExitCode::kConfig, fmt::format("slurm.min_nodes = {} is more than slurm.nodes = {}",
                                               min_nodes, nodes));
  }
}

}  // namespace nativo::launch
