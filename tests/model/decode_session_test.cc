#include "model/decode_session.h"

#include <gtest/gtest.h>

#include <vector>

#include "model/decoder_fixture.h"
#include "reference/decoder.h"

namespace nativo::model {
namespace {

/// The reference's logits after the last of `tokens`.
std::vector<double> full_forward(const Decoder& decoder, const std::vector<std::int32_t>& tokens) {
  Batch batch;
  batch.rows = 1;
  batch.length = static_cast<std::int64_t>(tokens.size());
  batch.tokens = tokens;
  batch.targets.assign(tokens.size(), 0);
  batch.documents.assign(tokens.size(), 0);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    batch.positions.push_back(static_cast<std::int32_t>(i));
  }
  const auto logits = reference::decoder_logits(decoder.config(), flat_values(decoder), batch);
  return {logits.end() - decoder.config().vocab_size, logits.end()};
}

// f32 against f64 over a few layers.
constexpr double kTolerance = 1e-5;

TEST(DecodeSession, CachedEqualsRecomputedTokenByToken) {
  for (const DecoderConfig& config : family_configs()) {
    Decoder decoder(config);
    randomize(decoder);
    DecodeSession session(decoder, 20);
    std::vector<std::int32_t> tokens;
    for (int i = 0; i < 20; ++i) {
      const std::int32_t token = i * 7 % 23;
      tokens.push_back(token);
      const auto logits = session.append(std::vector<std::int32_t>{token});
      EXPECT_LT(reference::relative_error(logits, full_forward(decoder, tokens)), kTolerance)
          << family_name(config.family) << ", token " << i;
    }
    EXPECT_EQ(session.length(), session.capacity());
  }
}

TEST(DecodeSession, APromptAtOnceEqualsItsTokens) {
  Decoder decoder(small_config(false));
  randomize(decoder);
  DecodeSession session(decoder, 40);
  const std::vector<std::int32_t> prompt{1, 5, 9, 2, 2, 17, 4, 8, 11, 3, 6};
  EXPECT_LT(reference::relative_error(session.append(prompt), full_forward(decoder, prompt)),
            kTolerance);
  std::vector<std::int32_t> tokens = prompt;
  const std::vector<std::int32_t> more{7, 7, 19};
  tokens.insert(tokens.end(), more.begin(), more.end());
  EXPECT_LT(reference::relative_error(session.append(more), full_forward(decoder, tokens)),
            kTolerance);
}

TEST(DecodeSession, LongPromptsGoInPieces) {
  DecoderConfig config = small_config(false);
  config.layers = 1;
  config.max_positions = 1200;
  for (const bool window : {true, false}) {
    config.sliding_window = window ? std::optional<std::int64_t>(300) : std::nullopt;
    Decoder decoder(config);
    randomize(decoder);
    DecodeSession session(decoder, 1100);
    std::vector<std::int32_t> prompt;
    for (int i = 0; i < 1100; ++i) prompt.push_back(i * i % 23);
    EXPECT_LT(reference::relative_error(session.append(prompt), full_forward(decoder, prompt)),
              kTolerance);
  }
}

TEST(DecodeSession, TruncateForgets) {
  Decoder decoder(small_config(false));
  randomize(decoder);
  DecodeSession session(decoder, 16);
  static_cast<void>(session.append(std::vector<std::int32_t>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
  session.truncate(2);
  EXPECT_EQ(session.length(), 2);
  const auto logits = session.append(std::vector<std::int32_t>{20, 21});
  EXPECT_LT(reference::relative_error(logits, full_forward(decoder, {1, 2, 20, 21})), kTolerance);
}

TEST(DecodeSession, MovesWithItsState) {
  Decoder decoder(small_config(false));
  randomize(decoder);
  DecodeSession first(decoder, 16);
  static_cast<void>(first.append(std::vector<std::int32_t>{1, 2, 3}));
  DecodeSession second = std::move(first);
  const auto logits = second.append(std::vector<std::int32_t>{4});
  EXPECT_LT(reference::relative_error(logits, full_forward(decoder, {1, 2, 3, 4})), kTolerance);
}

}  // namespace
}  // namespace nativo::model
