#include "pipeline/training_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "pipeline/examples.h"
#include "train/token_rows.h"

namespace nativo::pipeline {
namespace {

/// Uniform in [0, 1), decided by (seed, id): below mix.heldout_share a record in the base's
/// language is never trained on.
double place(const RunContext& context, const data::Record& record) {
  const auto seed = static_cast<std::uint64_t>(context.options.run.seed);
  return static_cast<double>(xxh64(record.id, seed)) * 0x1.0p-64;
}

bool is_apart(const RunContext& context, const data::Record& record) {
  return record.lang == context.options.model.base_language &&
         place(context, record) < context.options.mix.heldout_share;
}

void add_tokens(std::vector<train::Example>& examples, const train::TrainOptions& options,
                const text::Tokenizer& tokenizer) {
  if (options.tokens.empty()) return;
  std::vector<train::Example> more = read_token_files({options.tokens}, tokenizer.vocab_size());
  std::move(more.begin(), more.end(), std::back_inserter(examples));
}

/// At most `most` ingested records that are apart, by their place.
std::vector<data::Record> gauge_records(const RunContext& context, std::size_t most) {
  std::vector<std::pair<double, data::Record>> apart;
  data::RecordReader reader(context.stage("ingest"));
  for (data::Record record; reader.next(record);) {
    if (is_apart(context, record)) apart.emplace_back(place(context, record), record);
  }
  std::stable_sort(apart.begin(), apart.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first, a.second.id) < std::tie(b.first, b.second.id);
  });
  std::vector<data::Record> records;
  for (auto& [unused, record] : apart) {
    if (records.size() == most) break;
    if (records.empty() || records.back().id != record.id) records.push_back(std::move(record));
  }
  return records;
}

}  // namespace

fs::path tokenizer_folder(const RunContext& context) { return context.folder / "tokenizer"; }

TrainingData base_training_data(const RunContext& context, const text::Tokenizer& tokenizer) {
  const train::TrainOptions& options = context.options.base;
  std::vector<data::Record> learnt;
  std::vector<data::Record> apart;
  data::RecordReader reader(context.stage("ingest"));
  for (data::Record record; reader.next(record);) {
    if (record.lang != context.options.model.base_language) continue;
    (is_apart(context, record) ? apart : learnt).push_back(record);
  }
  if (learnt.empty() && options.tokens.empty()) {
    throw Error(ExitCode::kData,
                fmt::format("no source has records in \"{}\", which init:{} would learn from",
                            context.options.model.base_language, context.options.model.preset()),
                "add a source with that lang, or set model.base to a Hugging Face directory");
  }
  TrainingData data{.train = make_examples(learnt, tokenizer, options.train_on),
                    .heldout = make_examples(apart, tokenizer, options.train_on)};
  add_tokens(data.train, options, tokenizer);
  return data;
}

TrainingData tuning_data(const RunContext& context, const text::Tokenizer& tokenizer) {
  const train::TrainOptions& options = context.options.train;
  std::vector<data::Record> learnt = data::read_all(context.stage("mix"), "records");
  std::erase_if(learnt, [&](const data::Record& record) { return is_apart(context, record); });
  const std::vector<data::Record> heldout = data::read_all(context.stage("mix"), "heldout");
  TrainingData data{.train = make_examples(learnt, tokenizer, options.train_on),
                    .heldout = make_examples(heldout, tokenizer, options.train_on)};
  if (context.options.model.base_language != context.options.run.language) {
    data.base_heldout =
        make_examples(gauge_records(context, std::max<std::size_t>(heldout.size(), 1)), tokenizer,
                      options.train_on);
    if (data.base_heldout.empty()) {
      log::info("{:<10} no text in \"{}\" is held apart: what the model forgets is not measured",
                "train", context.options.model.base_language);
    }
  }
  add_tokens(data.train, options, tokenizer);
  return data;
}

std::vector<train::Example> read_token_files(const std::vector<fs::path>& files,
                                             std::int64_t vocab_size) {
  std::vector<train::Example> examples;
  for (const fs::path& file : files) {
    std::vector<train::Example> more = train::read_token_rows(file, vocab_size);
    std::move(more.begin(), more.end(), std::back_inserter(examples));
  }
  return examples;
}

}  // namespace nativo::pipeline
