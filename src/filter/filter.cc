#include "filter/filter.h"

#include <bit>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/interrupt.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "filter/rules.h"
#include "filter/subject.h"

namespace nativo::filter {
namespace {

constexpr std::size_t kBlockRows = 2048;

struct Judgement {
  std::optional<Rejection> rejection;
  std::int64_t tokens = 0;
};

Judgement judge_and_count(const data::Record& record, const FilterOptions& options,
                          std::string_view language, const text::Tokenizer* tokenizer) {
  const Subject subject = make_subject(record, options, language, tokenizer);
  return {.rejection = first_broken_rule(subject, options), .tokens = subject.tokens};
}

/// What the manifest's detail tells.
class Tally {
 public:
  void add(const data::Record& record, const Judgement& judgement) {
    Source& source = sources_[record.source];
    ++source.rows_in;
    if (judgement.rejection) {
      ++source.rejects[judgement.rejection->rule];
      return;
    }
    ++source.rows_out;
    tokens_ += judgement.tokens;
    ++histogram_[static_cast<std::int64_t>(
        std::bit_floor(static_cast<std::uint64_t>(judgement.tokens)))];
  }

  [[nodiscard]] Json json(bool tokens) const {
    Json histogram = Json::object();
    for (const auto& [edge, rows] : histogram_) histogram[std::to_string(edge)] = rows;
    Json sources = Json::object();
    for (const auto& [name, source] : sources_) {
      sources[name] = {{"rows_in", source.rows_in},
                       {"rows_out", source.rows_out},
                       {"rejects", Json(source.rejects)}};
    }
    return {{"unit", tokens ? "tokens" : "words"},
            {"tokens", tokens_},
            {"token_histogram", std::move(histogram)},
            {"sources", std::move(sources)}};
  }

 private:
  struct Source {
    std::uint64_t rows_in = 0;
    std::uint64_t rows_out = 0;
    std::map<std::string, std::uint64_t> rejects;
  };
  std::map<std::string, Source> sources_;
  std::map<std::int64_t, std::uint64_t> histogram_;
  std::int64_t tokens_ = 0;
};

std::vector<data::Record> take(data::RecordReader& reader, std::uint64_t rows) {
  std::vector<data::Record> block;
  for (data::Record record; block.size() < rows && reader.next(record);) {
    block.push_back(std::move(record));
  }
  return block;
}

}  // namespace

std::optional<Rejection> judge(const data::Record& record, const FilterOptions& options,
                               std::string_view language, const text::Tokenizer* tokenizer) {
  return judge_and_count(record, options, language, tokenizer).rejection;
}

data::Manifest run_filter(const std::filesystem::path& folder, const data::StageSpec& spec,
                          data::RecordReader& reader, const FilterOptions& options,
                          std::string_view language, const text::Tokenizer* tokenizer,
                          io::Disk& disk) {
  data::StageWriter writer(folder, spec, disk);
  Progress progress(spec.name, reader.total(), "rows");
  Tally tally;
  for (std::uint64_t index = 0;; ++index) {
    // Blocks that an earlier attempt wrote are judged again for the tally, but not written again.
    const bool done = writer.block_done(index);
    std::vector<data::Record> rows = take(reader, done ? writer.block_rows_in(index) : kBlockRows);
    if (rows.empty()) break;
    std::vector<Judgement> judgements(rows.size());
    parallel_for(rows.size(), [&](std::size_t i) {
      judgements[i] = judge_and_count(rows[i], options, language, tokenizer);
    });
    for (std::size_t i = 0; i < rows.size(); ++i) tally.add(rows[i], judgements[i]);
    progress.advance(rows.size());
    if (done) continue;
    writer.count_in(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (judgements[i].rejection) {
        writer.reject({.record = std::move(rows[i]),
                       .reason = std::move(*judgements[i].rejection),
                       .origin = {},
                       .raw = {}});
      } else {
        writer.keep(rows[i]);
      }
    }
    writer.end_block(index);
    stop_if_interrupted();
  }
  writer.detail() = tally.json(tokenizer != nullptr);
  return writer.finish();
}

}  // namespace nativo::filter
