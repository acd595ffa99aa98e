// The steps that make weights: tokenizer, base (a small model that starts from nothing), train.
#include <fmt/format.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/strings.h"
#include "config/json_writer.h"
#include "io/file.h"
#include "model/hf_directory.h"
#include "pipeline/examples.h"
#include "pipeline/pipeline.h"
#include "pipeline/training.h"
#include "text/instruct_format.h"
#include "text/tokenizer.h"
#include "train/data_parallel.h"

namespace nativo::pipeline {
namespace {

using Context = std::shared_ptr<RunContext>;

Json generation_config(const text::Tokenizer& tokenizer) {
  Json config = Json::object();
  if (tokenizer.bos_id() >= 0) config["bos_token_id"] = tokenizer.bos_id();
  if (const auto& ends = tokenizer.end_ids(); ends.size() == 1) {
    config["eos_token_id"] = ends[0];
  } else if (!ends.empty()) {
    config["eos_token_id"] = ends;
  }
  return config;
}

/// What transformers needs beside a tokenizer that came without any of it.
Json new_tokenizer_config(const text::Tokenizer& tokenizer, std::int64_t max_positions) {
  Json config = {{"tokenizer_class",
                  tokenizer.is_hugging_face() ? "PreTrainedTokenizerFast" : "LlamaTokenizer"}};
  if (tokenizer.bos_id() >= 0) config["bos_token"] = tokenizer.piece(tokenizer.bos_id());
  if (tokenizer.eos_id() >= 0) config["eos_token"] = tokenizer.piece(tokenizer.eos_id());
  if (!tokenizer.is_hugging_face()) {
    config["unk_token"] = "<unk>";
    config["add_bos_token"] = true;
    config["add_eos_token"] = false;
    config["legacy"] = true;
  }
  config["model_max_length"] = max_positions;
  return config;
}

/// The tokenizer's own files; what they leave out is said as the training understood it.
text::TokenizerFiles tokenizer_files(const text::Tokenizer& tokenizer, std::int64_t max_positions) {
  text::TokenizerFiles files = tokenizer.files();
  std::string& config = files[text::kTokenizerConfigFile];
  if (config.empty()) {
    config = dump_json_pretty(new_tokenizer_config(tokenizer, max_positions));
  }
  if (!text::find_chat_template(files)) {
    Json with_template = parse_json(config, text::kTokenizerConfigFile);
    with_template["chat_template"] = text::kInstructTemplate;
    config = dump_json_pretty(with_template);
  }
  if (!files.contains(text::kGenerationConfigFile)) {
    files[text::kGenerationConfigFile] = dump_json_pretty(generation_config(tokenizer));
  }
  return files;
}

model::SaveOptions save_options(const RunContext& context, const text::Tokenizer& tokenizer,
                                const model::DecoderConfig& config) {
  model::SaveOptions options;
  options.type = model::storage_type_from_option(context.options.model.dtype).value();
  options.extra_files = tokenizer_files(tokenizer, config.max_positions);
  return options;
}

using MakeData = TrainingData (*)(const RunContext&, const text::Tokenizer&);

/// Trains `decoder` on what `make_data` gives and leaves the result in `folder`, inside the
/// training's own folder.
void train_decoder(const RunContext& context, const data::StageSpec& spec, const fs::path& folder,
                   dist::Grid& grid, const train::DistOptions& dist, model::Decoder& decoder,
                   MakeData make_data, train::TrainOptions options) {
  options.seed = context.options.run.seed;
  const text::Tokenizer tokenizer(tokenizer_folder(context));
  if (tokenizer.vocab_size() > decoder.config().vocab_size) {
    throw Error(ExitCode::kData,
                fmt::format("tokenizer has {} pieces but the model only {}", tokenizer.vocab_size(),
                            decoder.config().vocab_size),
                "set model.tokenizer to the tokenizer that belongs to model.base");
  }
  Training training;
  training.spec = spec;
  training.folder = folder.parent_path();
  training.data = make_data(context, tokenizer);
  training.options = options;
  training.save = save_options(context, tokenizer, decoder.config());
  training.base = base_model_folder(context).native();
  training.dist = dist;
  training.grid = &grid;
  train_and_save(std::move(training), decoder);
}

/// The file that `options.tokens` names, as an input of the step: its bytes count, not its path.
void add_tokens_input(RunContext& context, const train::TrainOptions& options,
                      data::StageSpec& spec) {
  spec.options[spec.name].erase("tokens");
  if (options.tokens.empty()) return;
  if (!fs::exists(options.tokens)) {
    throw Error(ExitCode::kMissingInput, options.tokens + ": no such file",
                fmt::format("{}.tokens names pre-tokenised lines", spec.name));
  }
  spec.inputs.push_back(
      {{"name", "tokens"}, {"sha256", context.digests.file_digest(options.tokens)}});
}

}  // namespace

fs::path base_model_folder(const RunContext& context) {
  if (context.options.model.preset().empty()) return context.options.model.base;
  return context.folder / "base" / "model";
}

Step tokenizer_step(const Context& context) {
  Step step;
  step.name = "tokenizer";
  step.folder = context->folder / "tokenizer";
  const ModelOptions& options = context->options.model;
  fs::path given = options.tokenizer;
  if (given.empty() && options.preset().empty()) given = options.base;
  if (given.empty()) step.needs = {"ingest"};
  step.spec = [context, given] {
    data::StageSpec spec{.name = "tokenizer", .key = {}, .version = 1, .options = {}};
    if (!given.empty()) {
      if (!fs::exists(given)) {
        throw Error(ExitCode::kMissingInput, given.native() + ": no such tokenizer",
                    "set model.tokenizer to a tokenizer.json, a tokenizer.model or a folder that "
                    "holds one, or model.base to a Hugging Face directory with a tokenizer");
      }
      for (const auto& [name, bytes] : text::read_tokenizer_files(given)) {
        spec.inputs.push_back({{"name", name}, {"sha256", sha256_hex(bytes)}});
      }
    } else {
      spec.options["vocab_size"] = context->options.model.vocab_size;
      spec.inputs.push_back(
          {{"name", "ingest"}, {"sha256", output_digest(context->stage("ingest"), "records")}});
    }
    return keyed(std::move(spec));
  };
  step.run = [context, given, folder = step.folder](const data::StageSpec& spec) {
    const double start = monotonic_seconds();
    io::posix_disk().remove_all(folder);
    io::posix_disk().make_folders(folder);
    text::TokenizerFiles files;
    if (!given.empty()) {
      files = text::read_tokenizer_files(given);
    } else {
      log::info("{:<10} training a vocabulary of {} pieces", "tokenizer",
                context->options.model.vocab_size);
      std::vector<std::string> texts;
      for (const data::Record& record : data::read_all(context->stage("ingest"))) {
        texts.push_back(data::full_text(record));
      }
      files[text::kSentencePieceFile] =
          text::train_tokenizer(texts, context->options.model.vocab_size, {"[INST]", "[/INST]"});
    }
    const auto tokenizer = text::Tokenizer::from_files(std::move(files), given.string());
    for (const auto& [name, bytes] : tokenizer.files()) {
      io::write_file_atomically(folder / name, bytes);
    }
    // The base's config.json, which may be what names the ends, stays behind.
    if (tokenizer.is_hugging_face() && !tokenizer.files().contains(text::kGenerationConfigFile)) {
      io::write_file_atomically(folder / text::kGenerationConfigFile,
                                dump_json_pretty(generation_config(tokenizer)));
    }
    complete_step(folder, spec, monotonic_seconds() - start,
                  {{"summary", fmt::format("{} pieces", tokenizer.vocab_size())},
                   {"pieces", tokenizer.vocab_size()}});
  };
  return step;
}

Step base_step(const Context& context) {
  Step step;
  step.name = "base";
  step.all_ranks = true;
  step.folder = base_model_folder(*context);
  step.needs = {"ingest", "tokenizer"};
  step.spec = [context] {
    data::StageSpec spec{.name = "base", .key = {}, .version = 1, .options = {}};
    spec.options["base"] = result_options(context->options.base);
    spec.options["preset"] = context->options.model.preset();
    spec.options["language"] = context->options.model.base_language;
    spec.options["seed"] = context->options.run.seed;
    spec.options["dtype"] = context->options.model.dtype;
    spec.options["heldout_share"] = context->options.mix.heldout_share;
    spec.inputs.push_back(
        {{"name", "ingest"}, {"sha256", output_digest(context->stage("ingest"), "records")}});
    spec.inputs.push_back(
        {{"name", "tokenizer"}, {"sha256", output_digest(context->folder / "tokenizer")}});
    add_tokens_input(*context, context->options.base, spec);
    return keyed(std::move(spec));
  };
  step.run = [context, folder = step.folder](const data::StageSpec& spec) {
    const text::Tokenizer tokenizer(tokenizer_folder(*context));
    model::DecoderConfig config =
        model::preset(context->options.model.preset(), tokenizer.vocab_size());
    config.bos_id = tokenizer.bos_id();
    config.eos_id = tokenizer.eos_id();
    if (context->options.base.method != "full") {
      throw Error(ExitCode::kConfig,
                  fmt::format("base.method = \"{}\": a model that starts from nothing has no base "
                              "to adapt",
                              context->options.base.method),
                  "leave base.method at \"full\"; train.method says how the run itself trains");
    }
    const train::DistOptions shared = settled(context->options.dist, config, context->options.base,
                                              context->options.lora, context->ranks);
    const TrainingRanks ranks(context->ranks, context->options.base);
    dist::Grid grid(ranks.ranks(), shared.tensor);
    model::Decoder decoder(config, {}, train::decoder_ranks(grid, shared.zero), ranks.numbers());
    decoder.initialize(static_cast<std::uint64_t>(context->options.run.seed));
    train_decoder(*context, spec, folder, grid, shared, decoder, base_training_data,
                  context->options.base);
  };
  return step;
}

Step train_step(const Context& context) {
  Step step;
  step.name = "train";
  step.all_ranks = true;
  step.folder = tuned_model_folder(context->folder);
  step.needs = {"mix", "tokenizer"};
  if (!context->options.model.preset().empty()) step.needs.push_back("base");
  step.spec = [context] {
    data::StageSpec spec{.name = "train", .key = {}, .version = 1, .options = {}};
    spec.options["train"] = result_options(context->options.train);
    if (context->options.train.method != "full") {
      spec.options["lora"] = config::to_json(context->options.lora);
    }
    spec.options["seed"] = context->options.run.seed;
    spec.options["dtype"] = context->options.model.dtype;
    spec.inputs.push_back({{"name", "mix"}, {"sha256", output_digest(context->stage("mix"), "")}});
    // Forgetting is measured on what the base's language has in the sources.
    spec.options["base_language"] = context->options.model.base_language;
    spec.options["heldout_share"] = context->options.mix.heldout_share;
    spec.inputs.push_back(
        {{"name", "ingest"}, {"sha256", output_digest(context->stage("ingest"), "records")}});
    add_tokens_input(*context, context->options.train, spec);
    spec.inputs.push_back(
        {{"name", "tokenizer"}, {"sha256", output_digest(context->folder / "tokenizer")}});
    const fs::path base = base_model_folder(*context);
    if (!fs::is_directory(base)) {
      throw Error(ExitCode::kMissingInput, "[model] base: " + base.native() + ": no such folder",
                  "give a Hugging Face directory (config.json, *.safetensors, a tokenizer), or "
                  "init:tiny to start from nothing");
    }
    for (Json file : context->digests.digests(base)) {
      file["name"] = "base/" + file["name"].get<std::string>();
      spec.inputs.push_back(std::move(file));
    }
    return keyed(std::move(spec));
  };
  step.run = [context, folder = step.folder](const data::StageSpec& spec) {
    train::TrainOptions options = context->options.train;
    options.seed = context->options.run.seed;
    const fs::path base = base_model_folder(*context);
    const train::DistOptions shared = settled(context->options.dist, model::read_config(base),
                                              options, context->options.lora, context->ranks);
    const TrainingRanks ranks(context->ranks, options);
    dist::Grid grid(ranks.ranks(), shared.tensor);
    model::Decoder decoder =
        load_base(base, options, context->options.lora, shared, grid, ranks.numbers());
    train_decoder(*context, spec, folder, grid, shared, decoder, tuning_data, options);
  };
  return step;
}

}  // namespace nativo::pipeline
