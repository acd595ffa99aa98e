#include "pipeline/token_training.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "config/json_writer.h"
#include "io/file.h"
#include "io/run_lock.h"
#include "pipeline/digest_cache.h"
#include "pipeline/step.h"
#include "pipeline/training.h"
#include "text/tokenizer_files.h"

namespace nativo::pipeline {
namespace {

constexpr std::uint64_t kCompanionBytes = std::uint64_t{256} << 20;

void add_inputs(data::StageSpec& spec, DigestCache& digests, const char* name,
                const std::vector<fs::path>& files) {
  for (const fs::path& file : files) {
    if (!fs::exists(file)) {
      throw Error(ExitCode::kMissingInput, file.native() + ": no such file");
    }
    spec.inputs.push_back({{"name", std::string(name) + "/" + file.filename().native()},
                           {"sha256", digests.file_digest(file)}});
  }
}

data::StageSpec spec_of(const PipelineOptions& options, const TokenTraining& request,
                        DigestCache& digests) {
  data::StageSpec spec{.name = "train", .key = {}, .version = 1, .options = {}};
  spec.options["train"] = result_options(options.train);
  if (options.train.method != "full") spec.options["lora"] = config::to_json(options.lora);
  spec.options["seed"] = options.run.seed;
  spec.options["dtype"] = options.model.dtype;
  add_inputs(spec, digests, "tokens", request.tokens);
  add_inputs(spec, digests, "heldout", request.heldout);
  add_inputs(spec, digests, "base_heldout", request.base_heldout);
  for (Json file : digests.digests(request.model)) {
    file["name"] = "base/" + file["name"].get<std::string>();
    spec.inputs.push_back(std::move(file));
  }
  return keyed(std::move(spec));
}

}  // namespace

fs::path train_on_tokens(const PipelineOptions& options, const TokenTraining& request,
                         dist::Communicator* ranks) {
  use_threads(options.run.threads, ranks);
  const bool is_alone = ranks == nullptr || ranks->size() == 1;
  Training training;
  training.spec.name = "train";
  training.folder = request.output;
  training.options = options.train;
  training.options.seed = options.run.seed;
  training.base = request.model.native();
  fs::path result = model_folder(request.output);
  std::optional<io::RunLock> lock;
  bool is_done = false;
  if (is_alone || ranks->is_root()) {
    io::posix_disk().make_folders(request.output);
    lock.emplace(request.output);
    DigestCache digests(request.output / "digests.json");
    training.spec = spec_of(options, request, digests);
    digests.save();
    is_done = data::is_complete(result, training.spec.key, /*verify=*/false);
    if (is_done) log::info("train: reused, for neither files nor options have changed");
  }
  if (!is_alone) {
    ranks->set_timeout(0.0);  // the first one has files to digest
    is_done = dist::any_rank(*ranks, is_done);
  }
  if (is_done) return result;
  training.dist = settled(options.dist, model::read_config(request.model), training.options,
                          options.lora, ranks);
  const TrainingRanks own(is_alone ? nullptr : ranks, training.options);
  dist::Grid grid(own.ranks(), training.dist.tensor);
  training.grid = &grid;
  model::Decoder decoder =
      load_base(request.model, training.options, options.lora, training.dist, grid, own.numbers());
  const std::int64_t vocab_size = decoder.config().vocab_size;
  training.data = {.train = read_token_files(request.tokens, vocab_size),
                   .heldout = read_token_files(request.heldout, vocab_size),
                   .base_heldout = read_token_files(request.base_heldout, vocab_size)};
  training.save.type = model::storage_type_from_option(options.model.dtype).value();
  for (const char* name : text::kTokenizerFileNames) {
    if (!fs::exists(request.model / name)) continue;
    training.save.extra_files[name] = io::read_file(request.model / name, kCompanionBytes);
  }
  train_and_save(std::move(training), decoder);
  return result;
}

}  // namespace nativo::pipeline
