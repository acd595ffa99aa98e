// nativo score: how probable a model finds given tokens, line by line.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "base/interrupt.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/strings.h"
#include "cli/verb.h"
#include "generate/device_options.h"
#include "model/hf_directory.h"
#include "tensor/device_memory.h"
#include "train/scoring.h"
#include "train/token_rows.h"

namespace nativo::cli {
namespace {

struct Arguments {
  std::string model;
  std::string tokens;
  std::int64_t batch_tokens = 2048;
  int threads = 0;
  generate::DeviceOptions device;
  bool json = false;
};

/// log_probs has one entry a token; the first token's is null, for nothing precedes it.
Json line_of(const train::Score& score) {
  Json log_probs = Json::array();
  if (score.tokens > 0) log_probs.push_back(nullptr);
  for (const float value : score.log_probs) log_probs.push_back(value);
  Json line = {{"id", score.id}, {"log_probs", std::move(log_probs)}, {"targets", score.targets}};
  line["loss"] = score.targets > 0 ? Json(score.loss / static_cast<double>(score.targets)) : Json();
  return line;
}

void score_file(const Arguments& arguments) {
  set_thread_count(arguments.threads);
  const model::Numbers numbers = arguments.device.numbers("--");
  tensor::require_device(numbers.device);
  model::Decoder decoder = model::load_decoder(find_model(arguments.model), {}, {}, numbers);
  train::TokenRowReader reader(arguments.tokens, decoder.config().vocab_size);
  double loss = 0.0;
  std::int64_t targets = 0;
  std::int64_t lines = 0;
  const auto next = [&](train::Example& example) {
    stop_if_interrupted();
    return reader.next(example);
  };
  train::score_examples(decoder, next, arguments.batch_tokens, [&](const train::Score& score) {
    ++lines;
    loss += score.loss;
    targets += score.targets;
    if (arguments.json) {
      fmt::print("{}\n", dump_json(line_of(score)));
      std::fflush(stdout);
    } else if (score.targets > 0) {
      fmt::print("{:<32} {:>8} targets   loss {:.6f}\n", printable(score.id), score.targets,
                 score.loss / static_cast<double>(score.targets));
    } else {
      fmt::print("{:<32} {:>8} targets\n", printable(score.id), 0);
    }
  });
  if (arguments.json || targets == 0) return;
  fmt::print("{} lines, {} targets, mean loss {:.6f} a target\n", lines, targets,
             loss / static_cast<double>(targets));
}

}  // namespace

void add_score(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "score", "how probable a model finds given tokens: a line in, its log-probabilities out");
  const auto arguments = std::make_shared<Arguments>();
  verb->add_option("-m,--model", arguments->model, "model directory or run folder")
      ->required()
      ->type_name("DIR");
  verb->add_option("--tokens", arguments->tokens,
                   "lines of {\"tokens\": [..]}, with an optional \"loss_mask\" and \"id\"")
      ->required()
      ->type_name("FILE");
  verb->add_flag("--json", arguments->json,
                 "a line of {\"id\", \"log_probs\", \"targets\", \"loss\"} for each line");
  verb->add_option("--batch-tokens", arguments->batch_tokens, "tokens computed at a time")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  verb->add_option("--threads", arguments->threads, "0 = all cores")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  add_visited(*verb, arguments->device);
  verb->callback([arguments] { score_file(*arguments); });
}

}  // namespace nativo::cli
