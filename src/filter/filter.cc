#include "filter/filter.h"

#include <bit>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/parallel.h"
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

/// What the manifest's detail sums, of one block.
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
    tokens_ += static_cast<std::uint64_t>(judgement.tokens);
    ++histogram_[static_cast<std::int64_t>(
        std::bit_floor(static_cast<std::uint64_t>(judgement.tokens)))];
  }

  [[nodiscard]] Json json() const {
    Json histogram = Json::object();
    for (const auto& [edge, rows] : histogram_) histogram[std::to_string(edge)] = rows;
    Json sources = Json::object();
    for (const auto& [name, source] : sources_) {
      sources[name] = {{"rows_in", source.rows_in},
                       {"rows_out", source.rows_out},
                       {"rejects", Json(source.rejects)}};
    }
    return {{"tokens", tokens_},
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
  std::uint64_t tokens_ = 0;
};

data::BlockResult filter_block(std::vector<data::Record> rows, const FilterOptions& options,
                               std::string_view language, const text::Tokenizer* tokenizer) {
  std::vector<Judgement> judgements(rows.size());
  parallel_for(rows.size(), [&](std::size_t i) {
    judgements[i] = judge_and_count(rows[i], options, language, tokenizer);
  });
  data::BlockResult result;
  Tally tally;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    tally.add(rows[i], judgements[i]);
    if (judgements[i].rejection) {
      result.rejected.push_back({.record = std::move(rows[i]),
                                 .reason = std::move(*judgements[i].rejection),
                                 .origin = {},
                                 .raw = {}});
    } else {
      result.kept.push_back(std::move(rows[i]));
    }
  }
  result.counts = tally.json();
  return result;
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
  return data::run_blocks(
      folder, spec, reader, kBlockRows,
      [&](std::vector<data::Record> rows) {
        return filter_block(std::move(rows), options, language, tokenizer);
      },
      Json{{"unit", tokenizer != nullptr ? "tokens" : "words"}}, disk);
}

}  // namespace nativo::filter
