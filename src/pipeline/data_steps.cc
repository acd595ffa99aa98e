// The data stages as steps: ingest, translate, filter, dedup, mix.
#include <fmt/format.h>

#include <optional>

#include "base/error.h"
#include "config/json_writer.h"
#include "pipeline/pipeline.h"
#include "text/tokenizer.h"
#include "translate/engine_factory.h"

namespace nativo::pipeline {
namespace {

using Context = std::shared_ptr<RunContext>;

/// A stage that reads the records of the stage `input`. `describe` fills the spec's options (and
/// further inputs); `run` does the work.
Step record_step(const Context& context, std::string name, std::int64_t version, std::string input,
                 std::function<void(data::StageSpec&)> describe,
                 std::function<void(const data::StageSpec&, data::RecordReader&)> run) {
  Step step;
  step.name = std::move(name);
  step.folder = context->stage(step.name);
  step.needs = {input};
  step.spec = [context, input, version, name = step.name, describe = std::move(describe)] {
    data::StageSpec spec{.name = name, .key = {}, .version = version, .options = {}};
    spec.inputs.push_back(
        {{"name", input}, {"sha256", output_digest(context->stage(input), "records")}});
    describe(spec);
    return keyed(std::move(spec));
  };
  step.run = [context, input, run = std::move(run)](const data::StageSpec& spec) {
    data::RecordReader reader(context->stage(input));
    run(spec, reader);
  };
  return step;
}

/// What of [translate] decides the translations: files count by their content, not where they lie,
/// and how fast a language model is asked, for how much and with which key counts for nothing.
Json translation_options(const translate::TranslateOptions& options, const std::string& language) {
  Json json = config::to_json(options);
  json["argos"].erase("package");
  if (options.engine != "llm") {
    json.erase("llm");
    return json;
  }
  Json& llm = json["llm"];
  for (const char* const key :
       {"api_key_env", "concurrency", "requests_per_minute", "tokens_per_minute", "max_retries",
        "retry_wait", "timeout", "budget_tokens", "cache", "model_dir"}) {
    llm.erase(key);
  }
  llm["prompt"] = translate::load_prompt(options.llm.prompt, options.from, language).digest();
  return json;
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
    return keyed(std::move(spec));
  };
  step.run = [context, folder = step.folder](const data::StageSpec& spec) {
    data::ingest(folder, spec, context->options.source, context->options.ingest);
  };
  return step;
}

Step translate_step(const Context& context, std::string input) {
  return record_step(
      context, "translate", translate::kTranslateVersion, std::move(input),
      [context](data::StageSpec& spec) {
        const translate::TranslateOptions& options = context->options.translate;
        const std::string& language = context->options.run.language;
        spec.options["translate"] = translation_options(options, language);
        spec.options["language"] = language;
        const auto add = [&](const fs::path& path, const std::string& as) {
          for (Json file : context->digests.digests(path)) {
            file["name"] = as + "/" + file["name"].get<std::string>();
            spec.inputs.push_back(std::move(file));
          }
        };
        if (!options.glossary.empty()) add(options.glossary, "glossary");
        for (const fs::path& path : translate::engine_inputs(options.engine, options, language)) {
          add(path, "engine");
        }
      },
      [context](const data::StageSpec& spec, data::RecordReader& reader) {
        translate::run_translate(context->stage(spec.name), spec, reader,
                                 context->options.translate, context->options.run.language);
      });
}

Step filter_step(const Context& context, std::string input, bool with_tokenizer) {
  const fs::path tokenizer_folder = context->folder / "tokenizer";
  Step step = record_step(
      context, "filter", filter::kFilterVersion, std::move(input),
      [context, with_tokenizer, tokenizer_folder](data::StageSpec& spec) {
        spec.options["filter"] = config::to_json(context->options.filter);
        spec.options["language"] = context->options.run.language;
        if (with_tokenizer) {
          spec.inputs.push_back(
              {{"name", "tokenizer"}, {"sha256", output_digest(tokenizer_folder)}});
        }
      },
      [context, with_tokenizer, tokenizer_folder](const data::StageSpec& spec,
                                                  data::RecordReader& reader) {
        std::optional<text::Tokenizer> tokenizer;
        if (with_tokenizer) tokenizer.emplace(tokenizer_folder);
        filter::run_filter(context->stage(spec.name), spec, reader, context->options.filter,
                           context->options.run.language, tokenizer ? &*tokenizer : nullptr);
      });
  if (with_tokenizer) step.needs.push_back("tokenizer");
  return step;
}

Step dedup_step(const Context& context, std::string input) {
  return record_step(
      context, "dedup", dedup::kDedupVersion, std::move(input),
      [context](data::StageSpec& spec) {
        spec.options["dedup"] = config::to_json(context->options.dedup);
      },
      [context](const data::StageSpec& spec, data::RecordReader& reader) {
        dedup::run_dedup(context->stage(spec.name), spec, reader, context->options.dedup);
      });
}

Step mix_step(const Context& context, std::string input) {
  std::map<std::string, double> weights;
  for (const auto& [name, source] : context->options.source) weights[name] = source.weight;
  return record_step(
      context, "mix", mix::kMixVersion, std::move(input),
      [context, weights](data::StageSpec& spec) {
        spec.options["mix"] = config::to_json(context->options.mix);
        spec.options["weights"] = weights;
        spec.options["seed"] = context->options.run.seed;
      },
      [context, weights](const data::StageSpec& spec, data::RecordReader& reader) {
        mix::run_mix(context->stage(spec.name), spec, reader, weights, context->options.mix,
                     static_cast<std::uint64_t>(context->options.run.seed));
      });
}

}  // namespace nativo::pipeline
