#include "generate/local_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "generate/packing.h"
#include "io/file.h"
#include "model/hf_directory.h"
#include "tensor/device_memory.h"

namespace nativo::generate {
namespace {

/// Tokens scored at once: a GPU's products want many rows.
std::int64_t score_batch_tokens(const model::Decoder& decoder) {
  return decoder.numbers().device.is_cuda() ? 16384 : 2048;
}

}  // namespace

LocalModel::LocalModel(model::Decoder decoder, text::Tokenizer tokenizer)
    : decoder_(std::move(decoder)), tokenizer_(std::move(tokenizer)) {
  if (tokenizer_.vocab_size() > decoder_.config().vocab_size) {
    throw Error(ExitCode::kData,
                fmt::format("the tokenizer has {} pieces but the model only {} embeddings",
                            tokenizer_.vocab_size(), decoder_.config().vocab_size),
                "the tokenizer and the weights do not belong together");
  }
}

std::int64_t LocalModel::context_length() const { return decoder_.config().max_positions; }

std::vector<Score> LocalModel::score(std::span<const ScoreRequest> requests) {
  std::vector<Score> scores(requests.size());
  for (const ScoreBatch& packed :
       pack_requests(requests, context_length(), score_batch_tokens(decoder_))) {
    const model::TokenScores tokens = decoder_.score(packed.batch);
    for (const Placement& placement : packed.placements) {
      Score& score = scores[placement.request];
      for (std::size_t i = placement.first; i < placement.first + placement.count; ++i) {
        score.token_log_probs.push_back(tokens.log_prob[i]);
        score.log_prob += tokens.log_prob[i];
        score.greedy = score.greedy && tokens.argmax[i] == packed.batch.targets[i];
      }
    }
  }
  return scores;
}

std::span<const float> LocalModel::prefill(std::span<const TokenId> prompt, std::int64_t capacity) {
  if (!session_ || session_->capacity() < capacity) {
    // Powers of two, so that a growing chat does not reallocate at every turn.
    const auto rounded = static_cast<std::int64_t>(
        std::bit_ceil(std::max<std::uint64_t>(256, static_cast<std::uint64_t>(capacity))));
    session_.reset();
    session_.emplace(decoder_, std::min(rounded, context_length()));
    cached_.clear();
  }
  // The last token always runs: its logits are what is asked for.
  const auto same = std::ranges::mismatch(cached_, prompt.first(prompt.size() - 1)).in1;
  const auto shared =
      static_cast<std::size_t>(std::min<std::int64_t>(same - cached_.begin(), session_->length()));
  session_->truncate(static_cast<std::int64_t>(shared));
  cached_.assign(prompt.begin(), prompt.end());
  return session_->append(prompt.subspan(shared));
}

Generation LocalModel::generate(std::span<const TokenId> prompt, const SamplerOptions& options,
                                const OnToken& on_token) {
  NATIVO_CHECK(!prompt.empty(), "generation needs a prompt");
  const auto length = static_cast<std::int64_t>(prompt.size());
  if (length >= context_length()) {
    throw Error(ExitCode::kData,
                fmt::format("a prompt of {} tokens does not fit the model's context of {}", length,
                            context_length()),
                "shorten the prompt");
  }
  const std::int64_t new_tokens = std::min(options.max_tokens, context_length() - length);
  const auto pieces = static_cast<std::size_t>(tokenizer_.vocab_size());
  Sampler sampler(options);
  Generation generation;
  std::span<const float> logits = prefill(prompt, length + new_tokens);
  for (std::int64_t position = 0;; ++position) {
    // A decoder may have more rows than the tokenizer has pieces; those are never drawn.
    const TokenId token =
        sampler.draw(logits.first(pieces), cached_, static_cast<std::uint64_t>(position));
    if (std::ranges::binary_search(tokenizer_.end_ids(), token)) {
      generation.reason = StopReason::kEndOfSequence;
      break;
    }
    generation.tokens.push_back(token);
    if (on_token && !on_token(token)) {
      generation.reason = StopReason::kCaller;
      break;
    }
    if (position + 1 == new_tokens) {
      generation.reason =
          new_tokens < options.max_tokens ? StopReason::kContextFull : StopReason::kMaxTokens;
      break;
    }
    cached_.push_back(token);
    logits = session_->append(std::span(&cached_.back(), 1));
  }
  return generation;
}

std::unique_ptr<LocalModel> load_local_model(const std::filesystem::path& folder,
                                             const model::Numbers& numbers) {
  tensor::require_device(numbers.device);
  model::Decoder decoder =
      model::load_decoder(folder, {}, {}, numbers);  // compares every listed digest
  const std::filesystem::path file = text::find_tokenizer(folder);
  const std::filesystem::path digests = folder / model::kDigestsFile;
  if (std::filesystem::exists(digests)) {
    const Json listed = parse_json(io::read_file(digests), digests.string());
    if (!listed.value("files", Json::object()).contains(file.filename().string())) {
      throw Error(ExitCode::kData, fmt::format("{}: nativo.digests.json does not vouch for it",
                                               printable(file.string())));
    }
  }
  return std::make_unique<LocalModel>(std::move(decoder), text::Tokenizer(folder));
}

}  // namespace nativo::generate
