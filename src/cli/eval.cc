// nativo eval: a run's evaluation; or any model directory, alone or beside another. What files of
// translations are worth: cli/eval_translation.cc.
#include "eval/eval.h"

#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "base/parallel.h"
#include "cli/verb.h"
#include "generate/local_model.h"
#include "io/file.h"
#include "pipeline/pipeline.h"

namespace nativo::cli {
namespace {

struct Arguments {
  ConfigArguments config;
  std::string model;
  std::string base;
  std::string output;
};

eval::EvalResult measure(const std::string& folder, const eval::EvalOptions& options,
                         const std::string& label) {
  const auto model =
      generate::load_local_model(find_model(folder), options.device.numbers("eval."));
  return eval::run_eval(*model, options, label);
}

void write_json(const std::string& folder, const char* name, const Json& json) {
  if (folder.empty()) return;
  io::posix_disk().make_folders(folder);
  io::write_file_atomically(std::filesystem::path(folder) / name, dump_json_pretty(json));
}

void evaluate_models(const Arguments& arguments) {
  const pipeline::PipelineOptions options = arguments.config.read();
  if (options.eval.task.empty()) {
    throw Error(ExitCode::kConfig, "no [eval.task.NAME] in the pipeline file",
                "add one with kind and path, or --set eval.task.NAME.kind=... --set "
                "eval.task.NAME.path=...");
  }
  set_thread_count(static_cast<int>(options.run.threads));
  const eval::EvalResult tuned = measure(arguments.model, options.eval, "model");
  write_json(arguments.output, "model.json", eval::to_json(tuned));
  if (arguments.base.empty()) {
    for (const eval::TaskResult& task : tuned.tasks) {
      for (const eval::Column& column : task.columns) {
        fmt::print("{:<24} {:<14} {:.4f}  ({} items)\n", task.name, column.metric, column.value(),
                   task.items());
      }
    }
    return;
  }
  const eval::EvalResult base = measure(arguments.base, options.eval, "base");
  const Json comparison = eval::compare(base, tuned, options.eval);
  write_json(arguments.output, "base.json", eval::to_json(base));
  write_json(arguments.output, "comparison.json", comparison);
  fmt::print("{}", eval::comparison_table(comparison));
}

}  // namespace

void add_eval(CLI::App& app) {
  CLI::App* verb =
      app.add_subcommand("eval", "evaluate a run's base and tuned model, or any model directory");
  const auto arguments = std::make_shared<Arguments>();
  arguments->config.add_to(*verb, /*required=*/false);
  verb->add_option("-m,--model", arguments->model, "evaluate this model directory or run instead")
      ->type_name("DIR");
  verb->add_option("--base", arguments->base, "and put it beside this one (with --model)")
      ->type_name("DIR");
  verb->add_option("-o,--output", arguments->output, "folder for the results (with --model)")
      ->type_name("DIR");
  add_eval_translation(*verb);
  verb->callback([arguments, verb] {
    if (!verb->get_subcommands().empty()) return;  // that one does the work
    if (!arguments->model.empty()) return evaluate_models(*arguments);
    if (arguments->config.file.empty()) {
      throw Error(ExitCode::kUsage, "eval: give -c FILE, or --model DIR and the tasks");
    }
    pipeline::Pipeline(arguments->config.read()).run("eval");
  });
}

}  // namespace nativo::cli
