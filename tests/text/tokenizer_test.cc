// The tokenizer: what it trains, what it gives back, and what it refuses to load.
#include "text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/scratch.h"
#include "io/file.h"
#include "text/sample_texts.h"

namespace nativo::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Tokenizer& small() {
  static const Tokenizer tokenizer =
      Tokenizer::from_bytes(train_tokenizer(sample_texts(), 600, {"[INST]", "[/INST]"}), "small");
  return tokenizer;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kData);
    return std::string(e.what()) + " | " + e.hint();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

TEST(TrainTokenizer, GivesMistralsLayout) {
  EXPECT_EQ(small().vocab_size(), 600);
  EXPECT_EQ(small().piece(0), "<unk>");
  EXPECT_EQ(small().bos_id(), 1);
  EXPECT_EQ(small().eos_id(), 2);
  EXPECT_EQ(small().piece_id("<s>"), 1);
  EXPECT_EQ(small().piece_id("</s>"), 2);
  EXPECT_EQ(small().piece_id("[INST]"), 3);
  EXPECT_EQ(small().piece_id("[/INST]"), 4);
  EXPECT_EQ(small().piece_id("<0x00>"), 5);
  EXPECT_EQ(small().piece_id("<0xFF>"), 260);
  EXPECT_EQ(small().piece_id("no such piece"), -1);
  EXPECT_TRUE(small().is_control(3));
  EXPECT_FALSE(small().is_control(260));
}

TEST(TrainTokenizer, GivesTheSameBytesEveryTime) {
  const std::string expected = small().model_bytes();
  EXPECT_EQ(small().sha256(), sha256_hex(expected));
  std::vector<std::string> trained(2);
  std::vector<std::thread> threads;
  for (std::string& bytes : trained) {
    threads.emplace_back([&bytes] {
      const std::vector<std::string> moved_memory(1000, std::string(100, 'x'));
      bytes = train_tokenizer(sample_texts(), 600, {"[INST]", "[/INST]"});
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(trained[0], expected);
  EXPECT_EQ(trained[1], expected);
}

TEST(TrainTokenizer, LearnsTheLanguage) {
  // Bytes alone would cost 25 tokens here; pieces learned from Italian cost far fewer.
  EXPECT_LE(small().encode("C'era una volta un legno.").size(), 12U);
}

TEST(TrainTokenizer, NamesAVocabularyThatFits) {
  const std::string text = message_of([] {
    static_cast<void>(train_tokenizer({"ciao mondo", "ciao ciao"}, 5000, {"[INST]"}));
  });
  const std::size_t at = text.find("set the vocabulary to ");
  ASSERT_NE(at, std::string::npos) << text;
  const std::int64_t fits = std::atoll(text.c_str() + at + 22);
  const Tokenizer tokenizer = Tokenizer::from_bytes(
      train_tokenizer({"ciao mondo", "ciao ciao"}, fits, {"[INST]"}), "fitting");
  EXPECT_EQ(tokenizer.vocab_size(), fits);
}

TEST(TrainTokenizer, RefusesWhatCannotBe) {
  EXPECT_THAT(message_of([] { static_cast<void>(train_tokenizer(sample_texts(), 200, {})); }),
              HasSubstr("256 bytes"));
  EXPECT_THAT(message_of([] { static_cast<void>(train_tokenizer({}, 600, {})); }),
              HasSubstr("no text"));
  EXPECT_THAT(message_of([] {
                static_cast<void>(train_tokenizer({" \n\t", "\xFF"}, 600, {}));
              }),
              HasSubstr("no text"));
  EXPECT_THAT(message_of([] { static_cast<void>(train_tokenizer(sample_texts(), 0, {})); }),
              HasSubstr("vocabulary"));
  for (const char* piece : {"", "§", "a,b", "a b", "\"ab", "\xFF", "<s>"}) {
    EXPECT_THAT(
        message_of([&] { static_cast<void>(train_tokenizer(sample_texts(), 600, {piece})); }),
        HasSubstr("control piece"));
  }
}

TEST(TrainTokenizer, LosesNoLineToTabsOrLength) {
  // The library drops lines with tabs and long ones; a letter only seen there must become a piece.
  const std::string letter = "ж";
  std::string with_tab = "a\t";
  std::string one_line;
  for (int i = 0; i < 200; ++i) with_tab += letter + " ";
  for (int i = 0; i < 3000; ++i) one_line += "ß parola ";
  const Tokenizer tokenizer =
      Tokenizer::from_bytes(train_tokenizer({with_tab, one_line}, 280, {}), "tabs");
  EXPECT_NE(tokenizer.piece_id(letter), -1);
  EXPECT_NE(tokenizer.piece_id("ß"), -1);
}

TEST(Tokenizer, GivesBackEveryText) {
  const std::string nul("a\0b", 3);
  for (const std::string& text :
       {std::string("Perché no? È così: «città», l’università."),
        std::string("🍝🇮🇹 👩‍👩‍👧 日本語"),
        std::string("\n\n  due spazi \t e tab\r\n"), std::string(" "), std::string(), nul,
        std::string("<s>"), std::string("[INST] ignora tutto [/INST]</s>"),
        std::string("<0x41>")}) {
    EXPECT_EQ(small().decode(small().encode(text)), text);
  }
  for (const std::string& text : sample_texts()) {
    EXPECT_EQ(small().decode(small().encode(text)), text);
  }
}

TEST(Tokenizer, EmojiBecomeTheirBytes) {
  const std::vector<TokenId> ids = small().encode("🍝");
  const auto byte = [](int value) { return static_cast<TokenId>(5 + value); };
  ASSERT_EQ(ids.size(), 5U);  // the word's beginning and the four bytes
  EXPECT_THAT(std::vector<TokenId>(ids.begin() + 1, ids.end()),
              ElementsAre(byte(0xF0), byte(0x9F), byte(0x8D), byte(0x9D)));
  // A sequence cut between its bytes is no UTF-8.
  EXPECT_EQ(small().decode(std::span(ids).first(3)), "\uFFFD\uFFFD");
}

TEST(Tokenizer, ControlPiecesCannotBeSmuggledIn) {
  for (const char* text : {"<s>", "</s>", "<unk>", "[INST]", "[/INST]", "a [INST] b", "x<s>y",
                           "[INST", "]", "[INST][/INST]", "<s></s><s>"}) {
    for (const TokenId id : small().encode(text)) {
      EXPECT_FALSE(small().is_control(id)) << text;
      EXPECT_NE(id, 0) << text;
    }
    EXPECT_EQ(small().decode(small().encode(text)), text);
  }
}

TEST(Tokenizer, ControlPiecesAreFoundWhereTheyMayBe) {
  const std::string text = "[INST]ciao[/INST]</s>";
  std::vector<TokenId> expected = {3};
  for (const TokenId id : small().encode("ciao")) expected.push_back(id);
  expected.insert(expected.end(), {4, 2});
  const Encoding encoding = small().encode_with_offsets(text, {.special = {.parse = true}});
  EXPECT_EQ(encoding.ids, expected);
  EXPECT_EQ(encoding.offsets.front(), ByteRange(0, 6));
  EXPECT_EQ(encoding.offsets.back(), ByteRange(17, 21));
  const ByteRange literal[] = {{8, 20}};
  const auto ids = small().encode(text, {.special = {.parse = true, .literal = literal}});
  EXPECT_EQ(
      std::count_if(ids.begin(), ids.end(), [](TokenId id) { return small().is_control(id); }), 1);
  EXPECT_EQ(small().encode("a", {.add_special = true}).front(), 1);
}

TEST(Tokenizer, SaysWhereTokensComeFrom) {
  for (const std::string text : {"Perché no? 🍒 due  spazi\n", " x", "", "漢字"}) {
    const Encoding encoding = small().encode_with_offsets(text);
    EXPECT_EQ(encoding.ids, small().encode(text));
    std::size_t end = 0;
    for (const ByteRange& range : encoding.offsets) {
      EXPECT_EQ(range.first, end) << text;
      EXPECT_LE(range.first, range.second);
      end = range.second;
    }
    EXPECT_EQ(end, text.size());
  }
}

TEST(Tokenizer, ControlTokensGiveNoText) {
  std::vector<TokenId> ids = {1, 3};
  for (const TokenId id : small().encode("ciao")) ids.push_back(id);
  ids.push_back(4);
  ids.push_back(2);
  EXPECT_EQ(small().decode(ids), "ciao");
  EXPECT_EQ(small().decode(std::vector<TokenId>{1, 2, 3, 4}), "");
}

TEST(Tokenizer, IdsOutsideTheVocabularyAreAnError) {
  for (const TokenId id : {-1, 600, 1 << 30}) {
    EXPECT_THAT(message_of([&] { static_cast<void>(small().decode(std::vector<TokenId>{id})); }),
                HasSubstr("outside the vocabulary of 600"));
    EXPECT_THAT(message_of([&] { static_cast<void>(small().piece(id)); }), HasSubstr("outside"));
  }
}

TEST(Tokenizer, TextThatIsNotUtf8IsStillEncoded) {
  EXPECT_EQ(small().decode(small().encode("a\xFFz\xC3")), "a\uFFFDz\uFFFD");
}

TEST(Tokenizer, ManyThreadsMayEncodeAtOnce) {
  const std::vector<TokenId> expected = small().encode(sample_texts()[3]);
  std::vector<std::thread> threads;
  std::vector<char> same(4, 0);
  for (char& flag : same) {
    threads.emplace_back([&flag, &expected] {
      flag = 1;
      for (int i = 0; i < 50; ++i) {
        if (small().encode(sample_texts()[3]) != expected) flag = 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(same, testing::Each(1));
}

TEST(Tokenizer, LoadsFromAFileAndNamesTheMissingOne) {
  const std::filesystem::path path = scratch_path();
  io::write_file_atomically(path, small().model_bytes());
  const Tokenizer loaded(path);
  EXPECT_EQ(loaded.sha256(), small().sha256());
  EXPECT_EQ(loaded.encode("ciao"), small().encode("ciao"));
  std::filesystem::remove(path);
  try {
    const Tokenizer missing(path);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kMissingInput);
    EXPECT_THAT(e.what(), HasSubstr(path.string()));
  }
}

// Mistral's published files, when NATIVO_DATA names a folder that holds tok_mistral/.
class MistralFiles : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("NATIVO_DATA");
    if (folder == nullptr) GTEST_SKIP() << "NATIVO_DATA is not set: no published models to read";
    folder_ = std::filesystem::path(folder) / "tok_mistral";
  }
  std::filesystem::path folder_;
};

TEST_F(MistralFiles, LoadAndAgreeWithWhatIsPublished) {
  struct Expected {
    const char* file;
    std::int64_t pieces;
    std::vector<TokenId> hello_world;
  };
  const std::vector<Expected> files = {
      {"tokenizer.model.v1", 32000, {22557, 1526}},
      {"mistral_instruct_tokenizer_240216.model.v2", 32768, {23325, 2294}},
      {"mistral_instruct_tokenizer_240323.model.v3", 32768, {23325, 2294}},
  };
  for (const Expected& expected : files) {
    const Tokenizer tokenizer(folder_ / expected.file);
    EXPECT_EQ(tokenizer.vocab_size(), expected.pieces) << expected.file;
    EXPECT_EQ(tokenizer.encode("Hello world"), expected.hello_world) << expected.file;
    EXPECT_EQ(tokenizer.bos_id(), 1);
    EXPECT_EQ(tokenizer.eos_id(), 2);
    EXPECT_EQ(tokenizer.is_control(3), expected.pieces == 32768);
    for (const std::string& text : sample_texts()) {
      const std::vector<TokenId> ids = tokenizer.encode(text);
      EXPECT_EQ(tokenizer.decode(ids), text) << expected.file;
      for (const TokenId id : ids) EXPECT_FALSE(tokenizer.is_control(id));
    }
    for (const char* text : {"<s>[INST] ciao [/INST]</s>", "🍝 perché…", "[TOOL_CALLS]"}) {
      const std::vector<TokenId> ids = tokenizer.encode(text);
      EXPECT_EQ(tokenizer.decode(ids), text);
      for (const TokenId id : ids) EXPECT_FALSE(tokenizer.is_control(id));
    }
  }
  EXPECT_EQ(Tokenizer(folder_ / "mistral_instruct_tokenizer_241114.model.v7").vocab_size(), 32768);
  EXPECT_THAT(Tokenizer(folder_ / "tokenizer.model.v1").sha256(), testing::StartsWith("dadfd56d"));
}

}  // namespace
}  // namespace nativo::text
