// nativo slurm: a run as a Slurm job. script and submit are for people; supervise, deputy and
// stacks are what the job itself runs.
#include <fmt/format.h>
#include <sys/types.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <memory>

#include "base/error.h"
#include "base/parallel.h"
#include "base/strings.h"
#include "cli/verb.h"
#include "config/absolute_paths.h"
#include "config/config_file.h"
#include "io/file.h"
#include "launch/batch_script.h"
#include "launch/deputies.h"
#include "launch/files.h"
#include "launch/nodes.h"
#include "launch/stacks.h"
#include "launch/submit.h"
#include "launch/supervisor.h"
#include "pipeline/pipeline.h"

namespace nativo::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  ConfigArguments config;
  std::string verb = "run";
  std::string stage;
  std::int64_t tasks = 0;

  void add_to(CLI::App& app) {
    config.add_to(app, /*required=*/true);
    app.add_option("--verb", verb, "what the ranks do: all steps, or those up to the tuned model")
        ->check(CLI::IsMember({"run", "train"}))
        ->capture_default_str();
    app.add_option("--stage", stage, "not the run, but this data stage as an array over its blocks")
        ->check([](const std::string& name) {
          return name == "dedup" ? "dedup compares all records with all others, which one process "
                                   "does: it is a step of the run (nativo slurm submit)"
                                 : std::string();
        })
        ->check(CLI::IsMember({"translate", "filter"}));
    app.add_option("--tasks", tasks, "tasks of the array (with --stage); default: one a node")
        ->check(CLI::Range(1, 4096));
  }
};

/// The options as they are now, independent of this folder and of later changes to the file.
pipeline::PipelineOptions frozen(const ConfigArguments& arguments) {
  pipeline::PipelineOptions options = arguments.read();
  config::AbsolutePaths absolute;
  options.visit(absolute);
  return options;
}

launch::BatchJob batch_job(const Arguments& arguments, const pipeline::PipelineOptions& options) {
  const fs::path run = options.run.dir;
  return {.program = this_program(),
          .run = run,
          .config = launch::launch_folder(run) / launch::kConfig,
          .verb = arguments.verb};
}

std::int64_t tasks_of(const Arguments& arguments, const pipeline::PipelineOptions& options) {
  return arguments.tasks > 0 ? arguments.tasks : options.slurm.nodes;
}

std::string step_before(const pipeline::PipelineOptions& options, const std::string& stage) {
  const std::vector<std::string> names = pipeline::Pipeline(options).step_names();
  const auto found = std::ranges::find(names, stage);
  NATIVO_CHECK(found != names.begin() && found != names.end(), "a data stage has a step before it");
  return *std::prev(found);
}

/// What would fail when the job has its nodes: each rank of a training on GPUs wants one of its
/// node's.
void check_training(const pipeline::PipelineOptions& options) {
  const launch::SlurmOptions& slurm = options.slurm;
  options.check_training(slurm.nodes * slurm.ranks_per_node);
  if (!train::numbers_of(options.train).device.is_cuda() ||
      slurm.gpus_per_node == slurm.ranks_per_node) {
    return;
  }
  throw Error(
      ExitCode::kConfig,
      fmt::format("slurm.gpus_per_node = {} with slurm.ranks_per_node = {}: a rank that "
                  "trains on train.device = \"{}\" has a GPU of its own",
                  slurm.gpus_per_node, slurm.ranks_per_node, printable(options.train.device)),
      "make both the number of GPUs that a node has");
}

void print_script(const Arguments& arguments) {
  const pipeline::PipelineOptions options = frozen(arguments.config);
  const launch::BatchJob job = batch_job(arguments, options);
  if (arguments.stage.empty()) {
    check_training(options);
    fmt::print("{}", launch::batch_script(job, options.slurm));
    return;
  }
  fmt::print("{}", launch::stage_script(job, options.slurm,
                                        {.kind = launch::StageJob::Kind::kPart,
                                         .stage = arguments.stage,
                                         .before = {},
                                         .tasks = tasks_of(arguments, options)}));
}

void submit(const Arguments& arguments) {
  const pipeline::PipelineOptions options = frozen(arguments.config);
  const launch::BatchJob job = batch_job(arguments, options);
  const std::string text = config::to_toml(options);
  if (arguments.stage.empty()) {
    check_training(options);
    const std::string number = launch::submit_run(job, options.slurm, text);
    fmt::print("job {}\nfollow it:  nativo status {}\n", number, job.run.native());
    return;
  }
  const std::string before = step_before(options, arguments.stage);
  const launch::StageJobs jobs = launch::submit_stage(job, options.slurm, text, arguments.stage,
                                                      before, tasks_of(arguments, options));
  fmt::print(
      "job {} makes what comes before, up to {}\njob {} makes the blocks\njob {} joins them\n",
      jobs.before, before, jobs.array, jobs.join);
}

/// Both trainings of a run, the fine-tuning first.
std::vector<fs::path> trainings_of(const pipeline::PipelineOptions& options) {
  const fs::path run = options.run.dir;
  std::vector<fs::path> trainings = {run / "train"};
  if (!options.model.preset().empty()) trainings.push_back(run / "base");
  return trainings;
}

fs::path script_of(const pipeline::PipelineOptions& options) {
  return launch::launch_folder(fs::absolute(options.run.dir)) / launch::kScript;
}

void supervise(const Arguments& arguments) {
  const pipeline::PipelineOptions options = frozen(arguments.config);
  const std::string program = this_program().native();
  const fs::path config = fs::absolute(arguments.config.file);
  launch::SupervisedRun run{.run = options.run.dir,
                            .trainings = trainings_of(options),
                            .program = options.slurm.prefix,
                            .self = {program},
                            .config = config,
                            .options = options.slurm};
  run.program.insert(run.program.end(), {program, arguments.verb, "-c", config.native()});
  const auto nodes = launch::slurm_nodes(options.slurm, script_of(options));
  if (const int code = launch::supervise(run, *nodes); code != 0) std::exit(code);
}

void deputize(const ConfigArguments& arguments) {
  const pipeline::PipelineOptions options = arguments.read();
  const auto nodes = launch::slurm_nodes(options.slurm, script_of(options));
  launch::deputize(options.run.dir, options.slurm, *nodes);
}

}  // namespace

fs::path this_program() { return fs::read_symlink("/proc/self/exe"); }

void LocalRanks::add_to(CLI::App& verb) {
  verb.add_option("--ranks", ranks,
                  "run it as N processes here, watched and restarted after faults")
      ->type_name("N")
      ->check(CLI::Range(1, 4096));
  verb.add_option("--nodes", nodes, "1: this machine (with --ranks); more need nativo slurm submit")
      ->type_name("N")
      ->check(CLI::Range(1, 1));
}

bool LocalRanks::wanted() const { return ranks > 0; }

void LocalRanks::run(const pipeline::PipelineOptions& options, const fs::path& run,
                     const std::vector<fs::path>& trainings,
                     const std::vector<std::string>& program) const {
  launch::SupervisedRun supervised{.run = fs::absolute(run),
                                   .trainings = trainings,
                                   .program = {this_program().native()},
                                   .self = {this_program().native()},
                                   .config = {},
                                   .options = options.slurm};
  supervised.program.insert(supervised.program.end(), program.begin(), program.end());
  supervised.options.nodes = 1;
  supervised.options.min_nodes = 1;
  supervised.options.gpus_per_node = 0;
  supervised.options.ranks_per_node = ranks;
  const auto here = launch::local_nodes();
  if (const int code = launch::supervise(supervised, *here); code != 0) std::exit(code);
}

void LocalRanks::run_pipeline(const ConfigArguments& config, const std::string& verb) const {
  const pipeline::PipelineOptions options = frozen(config);
  std::vector<std::string> program = {verb};
  const std::vector<std::string> words = config.words();
  program.insert(program.end(), words.begin(), words.end());
  run(options, options.run.dir, trainings_of(options), program);
}

void add_slurm(CLI::App& app) {
  CLI::App* slurm = app.add_subcommand("slurm", "run as a Slurm job that looks after itself");
  slurm->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, void (*run)(const Arguments&)) {
    CLI::App* verb = slurm->add_subcommand(name, help);
    const auto arguments = std::make_shared<Arguments>();
    arguments->add_to(*verb);
    verb->callback([arguments, run] { run(*arguments); });
  };
  add("script", "print the batch script", print_script);
  add("submit", "write the batch script into the run folder and submit it", submit);
  add("supervise", "inside a job: start the ranks, watch them, start them again", supervise);

  CLI::App* deputy =
      slurm->add_subcommand("deputy", "inside a job: queue it again when its supervisor is gone");
  const auto config = std::make_shared<ConfigArguments>();
  config->add_to(*deputy, /*required=*/true);
  deputy->callback([config] { deputize(*config); });

  CLI::App* stacks = slurm->add_subcommand("stacks", "show where a process is");
  const auto pid = std::make_shared<std::int64_t>(0);
  stacks->add_option("pid", *pid, "its number")->required()->check(CLI::Range(1, 1 << 30));
  stacks->callback([pid] { fmt::print("{}", launch::describe_process(static_cast<pid_t>(*pid))); });
}

}  // namespace nativo::cli
