#include "pipeline/batch_view.h"

#include <fmt/format.h>

#include "base/error.h"
#include "model/decoder_config.h"
#include "model/hf_directory.h"
#include "pipeline/pipeline.h"
#include "pipeline/training_data.h"
#include "train/metrics.h"
#include "train/plan.h"

namespace nativo::pipeline {
namespace {

void need(const fs::path& folder, std::string_view verb) {
  if (fs::exists(folder / "manifest.json")) return;
  throw Error(ExitCode::kMissingInput,
              fmt::format("{}: not there yet, so that nobody knows the batches", folder.native()),
              fmt::format("nativo {} -c FILE goes as far", verb));
}

void plan_batch(const std::vector<train::Example>& examples, const train::TrainOptions& options,
                const model::DecoderConfig& config, const fs::path& training, BatchView& view) {
  train::TrainPlan plan(examples, options, config);
  view.steps = plan.steps();
  if (view.step > view.steps) {
    throw Error(ExitCode::kUsage,
                fmt::format("step {} is beyond the last, {}", view.step, view.steps));
  }
  if (const auto taken = train::taken_batch(training / "metrics.jsonl", view.step)) {
    view.taken = taken->batch;
    view.row_offset = taken->row_offset;
  }
  view.epoch = plan.epoch(view.step, view.row_offset) + 1;
  const std::vector<const train::Row*> rows = plan.rows(view.step, view.row_offset);
  view.batch = train::batch_digest(examples, rows);
  view.rows = train::explain_rows(examples, rows, options.seq_len);
}

}  // namespace

BatchView view_batch(const PipelineOptions& options, const BatchRequest& request) {
  BatchView view{.step = request.step,
                 .steps = 0,
                 .epoch = 0,
                 .batch = {},
                 .taken = {},
                 .rows = {},
                 .tokenizer = {}};
  if (!request.tokens.empty()) {
    train::TrainOptions table = options.train;
    table.seed = options.run.seed;
    const model::DecoderConfig config = model::read_config(request.model);
    plan_batch(read_token_files(request.tokens, config.vocab_size), table, config, request.output,
               view);
    const bool has_tokenizer = fs::exists(request.model / text::kHfTokenizerFile) ||
                               fs::exists(request.model / text::kSentencePieceFile);
    if (has_tokenizer) view.tokenizer.emplace(request.model);
    return view;
  }
  const RunContext context(options);
  const bool is_base = request.training == "base";
  need(context.folder / "tokenizer", "tokenizer");
  need(context.stage(is_base ? "ingest" : "mix"), is_base ? "ingest" : "mix");
  view.tokenizer.emplace(tokenizer_folder(context));
  train::TrainOptions table = is_base ? options.base : options.train;
  table.seed = options.run.seed;
  const TrainingData data = is_base ? base_training_data(context, *view.tokenizer)
                                    : tuning_data(context, *view.tokenizer);
  const bool is_preset = !options.model.preset().empty();
  const model::DecoderConfig config =
      is_preset ? model::preset(options.model.preset(), view.tokenizer->vocab_size())
                : model::read_config(base_model_folder(context));
  plan_batch(data.train, table, config, context.folder / request.training, view);
  return view;
}

}  // namespace nativo::pipeline
