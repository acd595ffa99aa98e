#include "eval/encoding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "generate/fake_language_model.h"

namespace nativo::eval {
namespace {

class Encoding : public testing::Test {
 protected:
  const text::Tokenizer tokenizer_ = generate::test_tokenizer();

  /// Context and continuation must be the ids of the whole text, cut in two.
  void expect_whole(std::string_view context, std::string_view continuation) {
    const generate::ScoreRequest pair = encode_pair(tokenizer_, context, continuation);
    std::vector<text::TokenId> joined = pair.context;
    joined.insert(joined.end(), pair.continuation.begin(), pair.continuation.end());
    EXPECT_EQ(joined, encode_prompt(tokenizer_, std::string(context).append(continuation)));
    EXPECT_FALSE(pair.continuation.empty());
  }
};

TEST_F(Encoding, BeginsWithBos) {
  EXPECT_THAT(encode_prompt(tokenizer_, ""), testing::ElementsAre(tokenizer_.bos_id()));
  EXPECT_EQ(encode_prompt(tokenizer_, "ciao").front(), tokenizer_.bos_id());
}

TEST_F(Encoding, TheContinuationIsWhatFollowsTheContext) {
  expect_whole("C'era una volta un", " pezzo di legno");
  expect_whole("Contesto: a\nRisposta:", " Roma");
  const auto pair = encode_pair(tokenizer_, "C'era una volta", " un re");
  EXPECT_EQ(tokenizer_.decode(pair.context), "C'era una volta");
  // One space before "un", not the two that encoding " un re" alone would give.
  const std::vector<text::TokenId> alone = tokenizer_.encode(" un re");
  EXPECT_NE(pair.continuation, alone);
  EXPECT_EQ(pair.continuation, tokenizer_.encode("un re"));
}

TEST_F(Encoding, TrailingSpaceMovesToTheContinuation) {
  const auto spaced = encode_pair(tokenizer_, "C'era una ", "volta");
  const auto plain = encode_pair(tokenizer_, "C'era una", " volta");
  EXPECT_EQ(spaced.context, plain.context);
  EXPECT_EQ(spaced.continuation, plain.continuation);
}

TEST_F(Encoding, NothingBeforeIsBosAlone) {
  const auto pair = encode_pair(tokenizer_, "", "volta");
  EXPECT_THAT(pair.context, testing::ElementsAre(tokenizer_.bos_id()));
  EXPECT_EQ(pair.continuation, tokenizer_.encode("volta"));
  EXPECT_EQ(encode_pair(tokenizer_, " ", "volta").context, pair.context);
}

TEST_F(Encoding, AContinuationThatMergesIntoTheContextKeepsAToken) {
  // "burattin" + "o" may be fewer tokens together than the first part alone.
  for (const char* context : {"il burattin", "Pinocchi", "una vol", "Gepp"}) {
    for (const char* continuation : {"o", "ta", "etto", "i"}) {
      EXPECT_FALSE(encode_pair(tokenizer_, context, continuation).continuation.empty());
    }
  }
}

}  // namespace
}  // namespace nativo::eval
