// The data stages as steps: ingest, translate, filter, dedup, mix.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/strings.h"
#include "config/json_writer.h"
#include "pipeline/pipeline.h"
#include "text/tokenizer.h"
#include "text/words.h"
#include "translate/engine_factory.h"
#include "translate/router.h"

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
  json.erase("memory");  // saves time, changes nothing
  json.erase("dedup_sources");
  const std::vector<std::string> engines = options.steps();
  if (std::ranges::find(engines, "llm") == engines.end()) {
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

/// The steps of the ladder that sources ask for.
std::map<std::string, std::string> source_steps(const PipelineOptions& options) {
  std::map<std::string, std::string> steps;
  for (const auto& [name, source] : options.source) {
    if (!source.translate.empty()) steps[name] = source.translate;
  }
  return steps;
}

/// How often words are used, where the router asks: as its file says, or in the records of `stage`.
translate::WordFrequencies route_frequencies(const PipelineOptions& options,
                                             const fs::path& stage) {
  const translate::RouteOptions& route = options.translate.route;
  translate::WordFrequencies frequencies;
  if (route.complex.empty() || route.rarity.weight <= 0) return frequencies;
  if (!route.frequencies.empty()) return translate::WordFrequencies::load(route.frequencies);
  data::RecordReader reader(stage);
  for (data::Record record; reader.next(record);) {
    if (record.lang != options.translate.from) continue;
    for (const data::Message& message : record.messages) frequencies.add(message.content);
    frequencies.add(record.text);
  }
  return frequencies;
}

std::uint64_t estimated_tokens(std::size_t characters) {
  return static_cast<std::uint64_t>(
      std::ceil(static_cast<double>(characters) / kCharactersPerToken));
}

}  // namespace

std::vector<RouteForecast> forecast_routes(const PipelineOptions& options, const fs::path& stage,
                                           const text::Tokenizer* tokenizer) {
  const std::vector<std::string> steps = options.translate.steps();
  const translate::WordFrequencies frequencies = route_frequencies(options, stage);
  const translate::Router router(options.translate.route, steps, source_steps(options),
                                 frequencies);
  std::vector<RouteForecast> forecast;
  for (const std::string& step : steps) forecast.push_back({.step = step});
  data::RecordReader reader(stage);
  for (data::Record record; reader.next(record);) {
    if (record.lang != options.translate.from) continue;
    const translate::Route route = router.route(record);
    RouteForecast& line = forecast[route.step];
    ++line.rows;
    const auto count = [&](std::string_view text) {
      line.words += text::split_words(text).size();
      line.tokens += tokenizer != nullptr ? tokenizer->encode(text).size()
                                          : estimated_tokens(count_code_points(text));
    };
    count(record.text);
    for (const data::Message& message : record.messages) count(message.content);
    if (route.step == 0) continue;
    const std::string why = route.by_source ? "source"
                            : route.parts.empty()
                                ? "threshold"
                                : std::string(translate::feature_name(route.parts.front().first));
    ++line.reasons[why];
  }
  return forecast;
}

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
      options.erase("path");       // content counts, not where it lies
      options.erase("weight");     // the mix's business
      options.erase("translate");  // the translation's
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

Step dedup_sources_step(const Context& context, std::string input) {
  return record_step(
      context, "dedup_sources", dedup::kDedupVersion, std::move(input),
      [context](data::StageSpec& spec) {
        spec.options["dedup"] = config::to_json(context->options.dedup);
      },
      [context](const data::StageSpec& spec, data::RecordReader& reader) {
        dedup::run_dedup(context->stage(spec.name), spec, reader, context->options.dedup);
      });
}

Step translate_step(const Context& context, std::string input) {
  return record_step(
      context, "translate", translate::kTranslateVersion, input,
      [context](data::StageSpec& spec) {
        const translate::TranslateOptions& options = context->options.translate;
        const std::string& language = context->options.run.language;
        spec.options["translate"] = translation_options(options, language);
        spec.options["language"] = language;
        for (const auto& [source, step] : source_steps(context->options)) {
          spec.options["source_steps"][source] = step;
        }
        const auto add = [&](const fs::path& path, const std::string& as) {
          for (Json file : context->digests.digests(path)) {
            file["name"] = as + "/" + file["name"].get<std::string>();
            spec.inputs.push_back(std::move(file));
          }
        };
        if (!options.glossary.empty()) add(options.glossary, "glossary");
        if (!options.route.frequencies.empty()) add(options.route.frequencies, "frequencies");
        std::set<fs::path> engine_files;  // steps may share a package
        for (const std::string& name : options.steps()) {
          for (const fs::path& path : translate::engine_inputs(name, options, language)) {
            if (engine_files.insert(path).second) add(path, "engine");
          }
        }
      },
      [context, input](const data::StageSpec& spec, data::RecordReader& reader) {
        const PipelineOptions& options = context->options;
        const translate::TranslateSetting setting{
            .target = options.run.language,
            .memory = options.translate.memory.empty() ? context->folder / "translation-memory"
                                                       : fs::path(options.translate.memory),
            .source_steps = source_steps(options)};
        translate::run_translate(context->stage(spec.name), spec, reader, options.translate,
                                 setting, route_frequencies(options, context->stage(input)));
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
