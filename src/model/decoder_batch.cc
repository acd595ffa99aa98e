// Validates a batch and derives the attention mask from its documents.
#include "model/decoder_batch.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"

namespace nativo::model {
namespace {

[[noreturn]] void fail(std::int64_t index, std::int64_t length, std::string_view what,
                       std::int64_t value, std::int64_t limit) {
  throw Error(ExitCode::kData,
              fmt::format("batch row {}, token {}: {} {} is not in [0, {})", index / length,
                          index % length, what, value, limit),
              "the packed data was made for another tokenizer or sequence length: pack it again");
}

}  // namespace

PreparedBatch prepare_batch(const DecoderConfig& config, const Batch& batch) {
  const std::int64_t tokens = batch.rows * batch.length;
  const auto size = static_cast<std::size_t>(tokens);
  if (batch.rows < 0 || batch.length < 0 || tokens > INT32_MAX || batch.tokens.size() != size ||
      batch.targets.size() != size || batch.positions.size() != size ||
      batch.documents.size() != size) {
    throw Error(ExitCode::kData,
                fmt::format("a batch of {} x {} does not have as many tokens, targets, positions "
                            "and documents",
                            batch.rows, batch.length));
  }
  PreparedBatch prepared;
  prepared.rows = batch.rows;
  prepared.length = batch.length;
  prepared.first_key.resize(size);
  if (config.sliding_window) prepared.window_key.resize(size);
  std::int64_t start = 0;  // of the document, inside the row
  for (std::int64_t i = 0; i < tokens; ++i) {
    const auto index = static_cast<std::size_t>(i);
    const std::int64_t t = i % batch.length;
    const std::int32_t document = batch.documents[index];
    if (t == 0 || document != batch.documents[index - 1]) start = t;
    if (batch.tokens[index] < 0 || batch.tokens[index] >= config.vocab_size) {
      fail(i, batch.length, "token", batch.tokens[index], config.vocab_size);
    }
    if (batch.positions[index] < 0 || batch.positions[index] >= config.max_positions) {
      fail(i, batch.length, "position", batch.positions[index], config.max_positions);
    }
    prepared.positions = std::max<std::int64_t>(prepared.positions, batch.positions[index] + 1);
    if (document < 0) {
      prepared.first_key[index] = static_cast<std::int32_t>(t + 1);
      if (config.sliding_window) prepared.window_key[index] = prepared.first_key[index];
      continue;
    }
    prepared.first_key[index] = static_cast<std::int32_t>(start);
    if (config.sliding_window) {
      prepared.window_key[index] =
          static_cast<std::int32_t>(std::max(start, t - *config.sliding_window + 1));
    }
    const std::int32_t target = batch.targets[index];
    if (target == -1) continue;
    if (target < 0 || target >= config.vocab_size) {
      fail(i, batch.length, "target", target, config.vocab_size);
    }
    prepared.target_row.push_back(static_cast<std::int32_t>(i));
    prepared.target.push_back(target);
  }
  return prepared;
}

}  // namespace nativo::model
