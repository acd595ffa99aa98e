#include "train/scoring.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "base/error.h"
#include "base/strings.h"
#include "train/packer.h"

namespace nativo::train {
namespace {

Score unscored(const Example& example) {
  Score score{.id = example.id,
              .tokens = static_cast<std::int64_t>(example.tokens.size()),
              .log_probs = {},
              .targets = 0,
              .loss = 0.0};
  score.log_probs.assign(std::max<std::size_t>(example.tokens.size(), 1) - 1, 0.0F);
  return score;
}

/// Fills the scores of the examples whose pieces lie in these rows.
void score_rows(model::Decoder& decoder, const std::vector<Example>& everything,
                std::span<const Row* const> rows, std::int64_t seq_len,
                std::vector<Score>& scores) {
  const model::Batch batch = make_batch(everything, rows, seq_len);
  const model::TokenScores token_scores = decoder.score(batch);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    auto from = token_scores.log_prob.begin() +
                static_cast<std::ptrdiff_t>(r) * static_cast<std::ptrdiff_t>(batch.length);
    for (const Piece& piece : rows[r]->pieces) {
      std::copy_n(from, piece.length, scores[piece.example].log_probs.begin() + piece.begin);
      from += piece.length;
    }
  }
}

/// The examples of one window, in order. All tokens are scored; the masks only choose the targets.
void score_window(model::Decoder& decoder, std::vector<Example>& window, std::int64_t batch_tokens,
                  const std::function<void(const Score&)>& take) {
  std::int64_t seq_len = 1;
  std::vector<Score> scores;
  std::vector<std::vector<std::uint8_t>> masks;
  for (Example& example : window) {
    scores.push_back(unscored(example));
    seq_len = std::max(seq_len, static_cast<std::int64_t>(example.tokens.size()) - 1);
    masks.push_back(std::move(example.loss_mask));
    example.loss_mask.assign(example.tokens.size(), 1);
  }
  const Packing packing = pack(window, seq_len, decoder.config().vocab_size, 0);
  std::vector<const Row*> rows;
  for (const Row& row : packing.rows) rows.push_back(&row);
  const std::span<const Row* const> all(rows);
  const auto at_once = static_cast<std::size_t>(std::max<std::int64_t>(1, batch_tokens / seq_len));
  for (std::size_t at = 0; at < rows.size(); at += at_once) {
    score_rows(decoder, window, all.subspan(at, std::min(at_once, rows.size() - at)), seq_len,
               scores);
  }
  for (std::size_t i = 0; i < window.size(); ++i) {
    Score& score = scores[i];
    for (std::size_t t = 0; t < score.log_probs.size(); ++t) {
      if (masks[i][t + 1] == 0) continue;
      ++score.targets;
      score.loss -= static_cast<double>(score.log_probs[t]);
    }
    take(score);
  }
}

}  // namespace

void score_examples(model::Decoder& decoder, const NextExample& next, std::int64_t batch_tokens,
                    const std::function<void(const Score&)>& take) {
  const std::int64_t longest = decoder.config().max_positions;
  std::exception_ptr failure;
  for (bool more = true; more && !failure;) {
    std::vector<Example> window;
    std::int64_t tokens = 0;
    try {
      for (Example example; tokens < batch_tokens && (more = next(example));) {
        const auto length = static_cast<std::int64_t>(example.tokens.size());
        if (length - 1 > longest) {
          throw Error(ExitCode::kData,
                      fmt::format("{}: {} tokens are more than the model's {} positions",
                                  printable(example.id), length, longest),
                      "cut it into shorter lines");
        }
        tokens += length;
        window.push_back(std::move(example));
      }
    } catch (...) {
      failure = std::current_exception();
    }
    if (!window.empty()) score_window(decoder, window, batch_tokens, take);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace nativo::train
