// The data stages as steps: ingest, translate, filter, dedup, mix.
#include <fmt/format.h>

#include <optional>

#include "base/error.h"
#include "config/json_writer.h"
#include "pipeline/pipeline.h"
#include "text/tokenizer.h"

namespace nativo::pipeline {
namespace {

using Context = std::shared_ptr<RunContext>;

Json stage_input(const RunContext& context, const std::string& stage,
                 std::string_view prefix = "records") {
  return {{"name", stage}, {"sha256", output_digest(context.stage(stage), prefix)}};
}

data::StageSpec finished(data::StageSpec spec) {
  spec.key = data::stage_key(spec);
  return spec;
}

}  // namespace

Step ingest_step(const Context& context) {
  Step step;
  step.name = "ingest";
  step.folder = context->stage("ingest");
  step.spec = [context] {
    if (context->options.source.empty()) {
      throw Error(ExitCode::kConfig, "no [source.NAME] in the pipeline file",
                  "add one with path, lang and licence");
    }
    data::StageSpec spec{.name = "ingest", .key = {}, .version = 1, .options = {}};
    spec.options["ingest"] = config::to_json(context->options.ingest);
    for (const auto& [name, source] : context->options.source) {
      Json options = config::to_json(source);
      options.erase("path");    // content counts, not where it lies
      options.erase("weight");  // the mix's business
      spec.options["source"][name] = std::move(options);
      if (!fs::exists(source.path)) {
        throw Error(ExitCode::kMissingInput,
                    fmt::format("[source.{}] path: {}: no such file or folder", name, source.path),
                    "correct it in the pipeline file or with --set source." + name + ".path=...");
      }
      for (Json file : context->digests.digests(source.path)) {
        file["name"] = name + "/" + file["name"].get<std::string>();
        spec.inputs.push_back(std::move(file));
      }
    }
    return finished(std::move(spec));
  };
  step.run = [context, folder = step.folder](const data::StageSpec& spec) {
    data::ingest(folder, spec, context->options.source, context->options.ingest);
  };
  return step;
}

Step translate_step(const Context& context, std::string input) {
  Step step;
  step.name = "translate";
  step.folder = context->stage("translate");
  step.needs = {input};
  step.spec = [context, input] {
    data::StageSpec spec{
        .name = "translate", .key = {}, .version = translate::kTranslateVersion, .options = {}};
    spec.options["translate"] = config::to_json(context->options.translate);
    spec.options["language"] = context->options.run.language;
    spec.inputs.push_back(stage_input(*context, input));
    return finished(std::move(spec));
  };
  step.run = [context, input, folder = step.folder](const data::StageSpec& spec) {
    data::RecordReader reader(context->stage(input));
    translate::run_translate(folder, spec, reader, context->options.translate,
                             context->options.run.language);
  };
  return step;
}

Step filter_step(const Context& context, std::string input, bool with_tokenizer) {
  Step step;
  step.name = "filter";
  step.folder = context->stage("filter");
  step.needs = {input};
  if (with_tokenizer) step.needs.push_back("tokenizer");
  step.spec = [context, input, with_tokenizer] {
    data::StageSpec spec{
        .name = "filter", .key = {}, .version = filter::kFilterVersion, .options = {}};
    spec.options["filter"] = config::to_json(context->options.filter);
    spec.options["language"] = context->options.run.language;
    spec.inputs.push_back(stage_input(*context, input));
    if (with_tokenizer) {
      spec.inputs.push_back(
          {{"name", "tokenizer"}, {"sha256", output_digest(context->folder / "tokenizer")}});
    }
    return finished(std::move(spec));
  };
  step.run = [context, input, with_tokenizer, folder = step.folder](const data::StageSpec& spec) {
    data::RecordReader reader(context->stage(input));
    std::optional<text::Tokenizer> tokenizer;
    if (with_tokenizer) tokenizer.emplace(context->folder / "tokenizer" / "tokenizer.model");
    filter::run_filter(folder, spec, reader, context->options.filter, context->options.run.language,
                       tokenizer ? &*tokenizer : nullptr);
  };
  return step;
}

Step dedup_step(const Context& context, std::string input) {
  Step step;
  step.name = "dedup";
  step.folder = context->stage("dedup");
  step.needs = {input};
  step.spec = [context, input] {
    data::StageSpec spec{
        .name = "dedup", .key = {}, .version = dedup::kDedupVersion, .options = {}};
    spec.options["dedup"] = config::to_json(context->options.dedup);
    spec.inputs.push_back(stage_input(*context, input));
    return finished(std::move(spec));
  };
  step.run = [context, input, folder = step.folder](const data::StageSpec& spec) {
    data::RecordReader reader(context->stage(input));
    dedup::run_dedup(folder, spec, reader, context->options.dedup);
  };
  return step;
}

Step mix_step(const Context& context, std::string input) {
  Step step;
  step.name = "mix";
  step.folder = context->stage("mix");
  step.needs = {input};
  const auto weights = [context] {
    std::map<std::string, double> by_source;
    for (const auto& [name, source] : context->options.source) by_source[name] = source.weight;
    return by_source;
  };
  step.spec = [context, input, weights] {
    data::StageSpec spec{.name = "mix", .key = {}, .version = mix::kMixVersion, .options = {}};
    spec.options["mix"] = config::to_json(context->options.mix);
    spec.options["weights"] = weights();
    spec.options["seed"] = context->options.run.seed;
    spec.inputs.push_back(stage_input(*context, input));
    return finished(std::move(spec));
  };
  step.run = [context, input, weights, folder = step.folder](const data::StageSpec& spec) {
    data::RecordReader reader(context->stage(input));
    mix::run_mix(folder, spec, reader, weights(), context->options.mix,
                 static_cast<std::uint64_t>(context->options.run.seed));
  };
  return step;
}

}  // namespace nativo::pipeline
