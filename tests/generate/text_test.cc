#include "generate/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "base/rng.h"
#include "base/strings.h"
#include "generate/fake_language_model.h"
#include "generate/stream_decoder.h"
#include "io/file.h"

namespace nativo::generate {
namespace {

/// All deltas of `ids`; each is checked to be whole characters.
std::string stream(const text::Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  StreamDecoder decoder(tokenizer);
  std::string joined;
  for (const TokenId id : ids) {
    const std::string delta = decoder.push(id);
    EXPECT_TRUE(is_valid_utf8(delta));
    joined += delta;
  }
  return joined + decoder.finish();
}

TEST(StreamDecoder, JoinedPiecesAreTheDecodedText) {
  const text::Tokenizer tokenizer = test_tokenizer();
  for (const std::string text :
       {"C'era una volta un pezzo di legno.", "Perché? 🍒🍒🍒 漢字\n\n  due  spazi ", "x"}) {
    const std::vector<TokenId> ids = tokenizer.encode(text);
    EXPECT_EQ(stream(tokenizer, ids), tokenizer.decode(ids)) << text;
  }
}

TEST(StreamDecoder, AgreesWithDecodeOnAnyTokens) {
  const text::Tokenizer tokenizer = test_tokenizer();
  for (std::uint64_t trial = 0; trial < 300; ++trial) {
    Rng rng(7, trial);
    std::vector<TokenId> ids;
    const std::uint64_t length = rng.below(400);
    // Every other trial draws only control and byte tokens: many incomplete characters.
    const auto bound = static_cast<std::uint64_t>(trial % 2 == 0 ? tokenizer.vocab_size() : 261);
    for (std::uint64_t i = 0; i < length; ++i)
      ids.push_back(static_cast<TokenId>(rng.below(bound)));
    ASSERT_EQ(stream(tokenizer, ids), tokenizer.decode(ids)) << "trial " << trial;
  }
}

TEST(StreamDecoder, HoldsBackHalfACharacter) {
  const text::Tokenizer tokenizer = test_tokenizer();
  StreamDecoder decoder(tokenizer);
  const TokenId first = tokenizer.piece_id("<0xF0>");
  ASSERT_GE(first, 0);
  EXPECT_EQ(decoder.push(first), "");
  EXPECT_EQ(decoder.push(tokenizer.piece_id("<0x9F>")), "");
  EXPECT_EQ(decoder.push(tokenizer.piece_id("<0x8D>")), "");
  EXPECT_EQ(decoder.push(tokenizer.piece_id("<0x92>")), "🍒");
}

TEST(StreamDecoder, AgreesWithDecodeOnAnyTokensOfATokenizerJson) {
  for (const char* name : {"gpt2", "llama2", "mistral", "bert", "xlm_roberta", "clip"}) {
    const std::string path =
        std::string(NATIVO_SOURCE_DIR) + "/tests/golden/tokenizers/" + name + ".json";
    const Json golden = parse_json(io::read_file(path), path);
    const auto tokenizer = text::Tokenizer::from_bytes(dump_json(golden["tokenizer"]), name);
    for (std::uint64_t trial = 0; trial < 60; ++trial) {
      Rng rng(8, trial);
      std::vector<TokenId> ids;
      const std::uint64_t length = rng.below(300);
      // Every other trial draws mostly bytes: many incomplete characters.
      const auto bound = static_cast<std::uint64_t>(trial % 2 == 0 ? tokenizer.vocab_size() : 262);
      for (std::uint64_t i = 0; i < length; ++i)
        ids.push_back(static_cast<TokenId>(rng.below(bound)));
      ASSERT_EQ(stream(tokenizer, ids), tokenizer.decode(ids)) << name << " trial " << trial;
    }
  }
}

struct Heard {
  std::string streamed;
  TextResult result;
};

Heard listen(FakeLanguageModel& model, const TextOptions& options) {
  Heard heard;
  const std::vector<TokenId> prompt = {model.tokenizer().bos_id()};
  heard.result = generate_text(model, prompt, options, [&](std::string_view delta) {
    EXPECT_FALSE(delta.empty());
    heard.streamed += delta;
    return true;
  });
  EXPECT_EQ(heard.streamed, heard.result.text);
  return heard;
}

TEST(GenerateText, EndsBeforeTheFirstStopString) {
  FakeLanguageModel model;
  model.reply = [](const std::string&) { return "Roma è bella\n\nDomanda: altro?"; };
  const Heard heard =
      listen(model, {.sampler = greedy(100), .stop_strings = {"\n\n", "</s>"}, .stop_tokens = {}});
  EXPECT_EQ(heard.result.text, "Roma è bella");
  EXPECT_EQ(heard.result.reason, StopReason::kStopString);
}

TEST(GenerateText, GivesBackWhatOnlyLookedLikeAStopString) {
  FakeLanguageModel model;
  model.reply = [](const std::string&) { return "uno <|im_ e fine <|im"; };
  const Heard heard = listen(
      model, {.sampler = greedy(100), .stop_strings = {"<|im_end|>", ""}, .stop_tokens = {}});
  EXPECT_EQ(heard.result.text, "uno <|im_ e fine <|im");
  EXPECT_EQ(heard.result.reason, StopReason::kEndOfSequence);
}

TEST(GenerateText, EndsAtAStopToken) {
  FakeLanguageModel model;
  const TokenId stop = model.tokenizer().encode("a. b").back();
  model.reply = [](const std::string&) { return "a. b"; };
  const Heard heard =
      listen(model, {.sampler = greedy(100), .stop_strings = {}, .stop_tokens = {stop}});
  EXPECT_EQ(heard.result.reason, StopReason::kStopString);
  EXPECT_THAT(heard.result.text, testing::StartsWith("a."));
  EXPECT_THAT(heard.result.text, testing::Not(testing::HasSubstr("b")));
}

TEST(GenerateText, StopsWhenTheCallerHasEnoughAndAtMaxTokens) {
  FakeLanguageModel model;
  model.reply = [](const std::string&) { return "uno due tre quattro cinque sei sette"; };
  int calls = 0;
  const std::vector<TokenId> prompt = {1};
  const TextResult few =
      generate_text(model, prompt, {.sampler = greedy(100), .stop_strings = {}, .stop_tokens = {}},
                    [&](std::string_view) { return ++calls < 2; });
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(few.reason, StopReason::kCaller);
  const TextResult cut =
      generate_text(model, prompt, {.sampler = greedy(3), .stop_strings = {}, .stop_tokens = {}});
  EXPECT_EQ(cut.tokens, 3);
  EXPECT_EQ(cut.reason, StopReason::kMaxTokens);
}

}  // namespace
}  // namespace nativo::generate
