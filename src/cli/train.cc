// nativo train: the pipeline up to the tuned model; or a model folder and pre-tokenised lines
// alone.
#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "cli/verb.h"
#include "dist/world.h"
#include "pipeline/pipeline.h"
#include "pipeline/token_training.h"

namespace nativo::cli {
namespace {

struct Arguments {
  ConfigArguments config;
  std::string model;
  std::vector<std::string> tokens;
  std::vector<std::string> heldout;
  std::vector<std::string> base_heldout;
  std::string output;
  LocalRanks ranks;
};

/// This command line again, for one rank.
std::vector<std::string> rank_arguments(const Arguments& arguments) {
  std::vector<std::string> words = {"train",    "--model",        arguments.model,
                                    "--output", arguments.output, "--tokens"};
  words.insert(words.end(), arguments.tokens.begin(), arguments.tokens.end());
  const auto add = [&](const char* name, const std::vector<std::string>& values) {
    if (values.empty()) return;
    words.emplace_back(name);
    words.insert(words.end(), values.begin(), values.end());
  };
  add("--heldout", arguments.heldout);
  add("--base-heldout", arguments.base_heldout);
  const std::vector<std::string> config = arguments.config.words();
  words.insert(words.end(), config.begin(), config.end());
  return words;
}

void train_model(const Arguments& arguments) {
  const std::unique_ptr<dist::Communicator> connected = dist::connect();
  dist::Communicator& ranks = *connected;
  if (arguments.tokens.empty()) {
    if (arguments.config.file.empty()) {
      throw Error(ExitCode::kUsage, "train: give -c FILE, or --model, --tokens and --output");
    }
    if (!arguments.model.empty() || !arguments.output.empty()) {
      throw Error(ExitCode::kUsage, "train: --model and --output are for --tokens",
                  "with -c FILE, the file says model.base and run.dir");
    }
    if (arguments.ranks.wanted()) return arguments.ranks.run_pipeline(arguments.config, "train");
    pipeline::Pipeline(arguments.config.read()).run("train", &ranks);
    return;
  }
  if (arguments.model.empty() || arguments.output.empty()) {
    throw Error(ExitCode::kUsage, "train: --tokens needs --model and --output too");
  }
  const pipeline::PipelineOptions options = arguments.config.read();
  if (!options.train.tokens.empty()) {
    throw Error(ExitCode::kUsage,
                "train: train.tokens is for a pipeline; --tokens takes several files");
  }
  const pipeline::TokenTraining request{
      .model = find_model(arguments.model),
      .tokens = {arguments.tokens.begin(), arguments.tokens.end()},
      .heldout = {arguments.heldout.begin(), arguments.heldout.end()},
      .base_heldout = {arguments.base_heldout.begin(), arguments.base_heldout.end()},
      .output = arguments.output};
  if (arguments.ranks.wanted()) {
    return arguments.ranks.run(options, request.output, {request.output},
                               rank_arguments(arguments));
  }
  const auto folder = pipeline::train_on_tokens(options, request, &ranks);
  if (ranks.is_root()) fmt::print("{}\n", folder.native());
}

}  // namespace

void add_train(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "train", "fine-tune the model: the pipeline's, or any on pre-tokenised lines");
  const auto arguments = std::make_shared<Arguments>();
  arguments->config.add_to(*verb, /*required=*/false);
  verb->add_option("-m,--model", arguments->model, "model to start from (with --tokens)")
      ->type_name("DIR");
  verb->add_option("--tokens", arguments->tokens,
                   "train on these lines of {\"tokens\": [..]}, with an optional \"loss_mask\", "
                   "\"id\", \"source\" and \"lang\", instead of a pipeline's data")
      ->type_name("FILE");
  verb->add_option("--heldout", arguments->heldout, "such lines to measure on (with --tokens)")
      ->type_name("FILE");
  verb->add_option("--base-heldout", arguments->base_heldout,
                   "such lines in the language that the model speaks already, to measure what it "
                   "forgets (with --tokens)")
      ->type_name("FILE");
  verb->add_option("-o,--out,--output", arguments->output,
                   "folder for checkpoints, metrics and model/ (with --tokens)")
      ->type_name("DIR");
  arguments->ranks.add_to(*verb);
  verb->callback([arguments] { train_model(*arguments); });
}

}  // namespace nativo::cli
