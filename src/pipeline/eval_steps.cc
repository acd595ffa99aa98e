// The step that measures: base and tuned model on the same items, and what they answer.
#include <fmt/format.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "config/json_writer.h"
#include "eval/eval.h"
#include "generate/local_model.h"
#include "io/file.h"
#include "pipeline/pipeline.h"

namespace nativo::pipeline {
namespace {

using Context = std::shared_ptr<RunContext>;

struct Measured {
  eval::EvalResult result;
  std::vector<std::string> answers;
};

/// Evaluates the model in `folder`, unless eval/LABEL.json holds the result of the same model,
/// tasks and prompts already.
Measured measure(RunContext& context, const fs::path& folder, const std::string& label) {
  const PipelineOptions& options = context.options;
  const model::Numbers numbers = options.eval.device.numbers("eval.");
  const Json key_of = {{"numbers", model::numbers_label(numbers)},
                       {"model", context.digests.digests(folder)},
                       {"tasks", eval::fingerprints(options.eval)},
                       {"prompts", options.report.prompts},
                       {"sampler", config::to_json(options.report.sampler)}};
  const std::string key = sha256_hex(dump_json(key_of));
  const fs::path file = context.folder / "eval" / (label + ".json");
  if (fs::exists(file)) {
    const Json cached = parse_json(io::read_file(file), file.native());
    if (cached.is_object() && cached.value("key", "") == key) {
      return {eval::result_from_json(cached.value("result", Json()), file.native()),
              cached.value("answers", std::vector<std::string>())};
    }
  }
  const auto model = generate::load_local_model(folder, numbers);
  Measured measured{eval::run_eval(*model, options.eval, label),
                    eval::answer_prompts(*model, options.report.prompts, options.report.sampler)};
  const Json json = {
      {"key", key}, {"result", eval::to_json(measured.result)}, {"answers", measured.answers}};
  io::write_file_atomically(file, dump_json_pretty(json));
  return measured;
}

}  // namespace

Step eval_step(const Context& context) {
  Step step;
  step.name = "eval";
  step.folder = context->folder / "eval";
  step.needs = {"train"};
  step.spec = [context] {
    data::StageSpec spec{.name = "eval", .key = {}, .version = 1, .options = {}};
    spec.options["eval"] = config::to_json(context->options.eval);
    for (auto& [name, task] : spec.options["eval"]["task"].items()) {
      task.erase("path");
      task.erase("fewshot");
    }
    spec.options["report"] = config::to_json(context->options.report);
    for (const auto& [name, task] : context->options.eval.task) {
      for (const auto& [key, path] : {std::pair{"path", task.path}, {"fewshot", task.fewshot}}) {
        if (path.empty() && std::string_view(key) == "fewshot") continue;
        if (!fs::exists(path)) {
          throw Error(
              ExitCode::kMissingInput,
              fmt::format("[eval.task.{}] {}: \"{}\": no such file", name, key, path),
              fmt::format("correct it in the pipeline file or with --set eval.task.{}.{}=...", name,
                          key));
        }
        spec.inputs.push_back({{"name", name + "/" + fs::path(path).filename().native()},
                               {"sha256", context->digests.file_digest(path)}});
      }
    }
    for (const auto& [label, folder] : {std::pair{"base", base_model_folder(*context)},
                                        std::pair{"tuned", tuned_model_folder(context->folder)}}) {
      for (Json file : context->digests.digests(folder)) {
        file["name"] = fmt::format("{}/{}", label, file["name"].get<std::string>());
        spec.inputs.push_back(std::move(file));
      }
    }
    return keyed(std::move(spec));
  };
  step.run = [context, folder = step.folder](const data::StageSpec& spec) {
    const double start = monotonic_seconds();
    io::posix_disk().make_folders(folder);
    const Measured base = measure(*context, base_model_folder(*context), "base");
    const Measured tuned = measure(*context, tuned_model_folder(context->folder), "tuned");
    const Json comparison = eval::compare(base.result, tuned.result, context->options.eval);
    io::write_file_atomically(folder / "comparison.json", dump_json_pretty(comparison));
    io::write_file_atomically(folder / "dialogues.json",
                              dump_json_pretty(eval::dialogues(context->options.report.prompts,
                                                               base.answers, tuned.answers)));
    log::info("\n{}", eval::comparison_table(comparison));
    complete_step(
        folder, spec, monotonic_seconds() - start,
        {{"summary", fmt::format("{} tasks, base beside tuned", base.result.tasks.size())}});
  };
  return step;
}

}  // namespace nativo::pipeline
