// tokenizer.json: what is refused and how it is named, hostile files and texts, control tokens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "base/scratch.h"
#include "io/file.h"
#include "text/tokenizer.h"

namespace nativo::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

/// A BPE of a few letters: a=0 b=1 c=2 ab=3 abc=4, control tokens <s>=5 and </s>=6.
Json small() {
  return parse_json(R"({
    "version": "1.0",
    "added_tokens": [{"id": 5, "content": "<s>", "special": true},
                     {"id": 6, "content": "</s>", "special": true}],
    "pre_tokenizer": {"type": "WhitespaceSplit"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4},
              "merges": ["a b", ["ab", "c"]]}})",
                    "small");
}

Tokenizer load(const Json& json) { return Tokenizer::from_bytes(dump_json(json), "t.json"); }

std::string refusal(const std::string& bytes) {
  try {
    static_cast<void>(Tokenizer::from_bytes(bytes, "t.json"));
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kData);
    EXPECT_FALSE(e.hint().empty());
    return e.what();
  }
  return "accepted";
}

std::string refusal(const std::function<void(Json&)>& change) {
  Json json = small();
  change(json);
  return refusal(dump_json(json));
}

TEST(HfTokenizer, ReadsASmallOne) {
  const Tokenizer t = load(small());
  EXPECT_THAT(t.encode("abc cab ba"), ElementsAre(4, 2, 3, 1, 0));
  EXPECT_EQ(t.vocab_size(), 7);
  EXPECT_EQ(t.piece_id("abc"), 4);
  EXPECT_EQ(t.piece(6), "</s>");
  EXPECT_TRUE(t.is_control(5));
  EXPECT_FALSE(t.is_control(4));
  EXPECT_TRUE(t.is_hugging_face());
}

TEST(HfTokenizer, NamesWhatItDoesNotKnow) {
  EXPECT_THAT(refusal([](Json& j) { j["model"]["type"] = "WordLevel"; }),
              HasSubstr("t.json: model.type: \"WordLevel\" is not supported"));
  EXPECT_THAT(refusal([](Json& j) { j["pre_tokenizer"]["type"] = "UnicodeScripts"; }),
              HasSubstr("pre_tokenizer.type: \"UnicodeScripts\""));
  EXPECT_THAT(refusal([](Json& j) {
                j["normalizer"] = {{"type", "Nmt"}};
              }),
              HasSubstr("normalizer.type: \"Nmt\""));
  EXPECT_THAT(refusal([](Json& j) {
                j["decoder"] = {{"type", "CTC"}};
              }),
              HasSubstr("decoder.type: \"CTC\""));
  EXPECT_THAT(refusal([](Json& j) {
                j["post_processor"] = {{"type", "New"}};
              }),
              HasSubstr("post_processor.type: \"New\""));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["new_option"] = true; }),
              HasSubstr("model.new_option: is not known"));
  EXPECT_THAT(refusal([](Json& j) {
                j["pre_tokenizer"] = {{"type", "Sequence"},
                                      {"pretokenizers", {{{"type", "Digits"}}, {{"type", "X"}}}}};
              }),
              HasSubstr("pre_tokenizer.pretokenizers[1].type: \"X\""));
  EXPECT_THAT(refusal([](Json& j) {
                j["pre_tokenizer"] = {
                    {"type", "Split"}, {"pattern", {{"Regex", "a*?"}}}, {"behavior", "Isolated"}};
              }),
              HasSubstr("lazy repetition"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["dropout"] = 0.1; }), HasSubstr("model.dropout"));
}

TEST(HfTokenizer, RefusesDamagedFiles) {
  const std::string good = dump_json(small());
  for (std::size_t size = 1; size < good.size(); size += 5) {
    EXPECT_NE(refusal(good.substr(0, size)), "accepted") << size;
  }
  EXPECT_THAT(refusal([](Json& j) { j.erase("model"); }), HasSubstr("model: is missing"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["vocab"]["d"] = 4; }), HasSubstr("stands twice"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["vocab"]["d"] = -1; }), HasSubstr("the id of"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["vocab"]["d"] = 4294967295; }),
              HasSubstr("beyond 4 M"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["vocab"][std::string(5000, 'x')] = 9; }),
              HasSubstr("longer than 4 KiB"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["merges"].push_back("a z"); }),
              HasSubstr("merge 2 (\"a\" and \"z\")"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["merges"].push_back("a b c"); }),
              HasSubstr("model.merges[3]"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["merges"].push_back(1); }), HasSubstr("merges[2]"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["unk_token"] = "<unk>"; }), HasSubstr("unk_token"));
  EXPECT_THAT(refusal([](Json& j) { j["added_tokens"][0]["id"] = 3; }), HasSubstr("contradicts"));
  EXPECT_THAT(refusal([](Json& j) { j["added_tokens"][0]["id"] = 1 << 30; }),
              HasSubstr("beyond 4 M"));
  EXPECT_THAT(refusal([](Json& j) {
                j["post_processor"] = {
                    {"type", "BertProcessing"}, {"sep", {"</s>", 600}}, {"cls", {"<s>", 5}}};
              }),
              HasSubstr("names id 600"));
  EXPECT_THAT(refusal([](Json& j) {
                j["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "####"}};
              }),
              HasSubstr("is not base64"));
  EXPECT_THAT(refusal([](Json& j) {
                j["normalizer"] = {{"type", "Precompiled"},
                                   {"precompiled_charsmap", "AAEAAP///////////w=="}};
              }),
              HasSubstr("charsmap"));
}

TEST(HfTokenizer, RefusesWhatNestsTooDeep) {
  Json inner = {{"type", "Digits"}};
  for (int i = 0; i < 100; ++i) {
    inner = {{"type", "Sequence"}, {"pretokenizers", Json::array({inner})}};
  }
  EXPECT_THAT(refusal([&](Json& j) { j["pre_tokenizer"] = inner; }), HasSubstr("nests too deep"));
  EXPECT_THAT(refusal("{\"model\": " + std::string(100000, '[')), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal([](Json& j) {
                j["pre_tokenizer"] = {{"type", "Split"},
                                      {"pattern", {{"Regex", std::string(500, '(') + "a"}}},
                                      {"behavior", "Isolated"}};
              }),
              HasSubstr("nests too deep"));
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST(HfTokenizer, LongWordsTakeNoQuadraticTime) {
  const Tokenizer t = load(small());
  const std::string word(std::size_t{1} << 20, 'a');
  std::size_t tokens = 0;
  // A second is a hundred times what it takes, and a thousandth of what n * n would.
  EXPECT_LT(seconds_of([&] { tokens = t.encode(word).size(); }), 5.0);
  EXPECT_EQ(tokens, word.size());
  std::string mixed;
  for (int i = 0; i < 300000; ++i) mixed += "abc";
  EXPECT_LT(seconds_of([&] { tokens = t.encode(mixed).size(); }), 5.0);
  EXPECT_EQ(tokens, 300000U);
}

TEST(HfTokenizer, APatternThatNeverEndsIsAnError) {
  Json json = small();
  json["pre_tokenizer"] = {
      {"type", "Split"}, {"pattern", {{"Regex", "(a|a)+(a|a)+(a|a)+x"}}}, {"behavior", "Isolated"}};
  const Tokenizer t = load(json);
  EXPECT_THAT(t.encode("ab"), ElementsAre(3));
  try {
    static_cast<void>(t.encode(std::string(200, 'a')));
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("takes too long"));
  }
}

TEST(HfTokenizer, ATextThatIsBlownUpIsAnError) {
  Json json = small();
  const Json replace = {
      {"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", std::string(1000, 'a')}};
  json["normalizer"] = {{"type", "Sequence"},
                        {"normalizers", Json::array({replace, replace, replace, replace})}};
  const Tokenizer t = load(json);
  EXPECT_EQ(t.encode("b").size(), 1U);
  for (const char* text : {"a", "aaaaaaaaaaaaaaaaaaaaaaaa"}) {
    EXPECT_THROW(static_cast<void>(t.encode(text)), Error);
    EXPECT_THROW(static_cast<void>(t.encode_with_offsets(text)), Error);
  }
}

TEST(HfTokenizer, ControlTokensNeedPermission) {
  const Tokenizer t = load(small());
  const std::string text = "a<s>b</s>";
  EXPECT_THAT(t.encode(text), ElementsAre(3));  // letters that the vocabulary lacks are dropped
  EXPECT_THAT(t.encode(text, {.special = {.parse = true}}), ElementsAre(0, 5, 1, 6));
  const ByteRange inside[] = {{0, 4}};
  EXPECT_THAT(t.encode(text, {.special = {.parse = true, .literal = inside}}), ElementsAre(3, 6));
  // One byte of it is enough: "<s" from a message and ">" from the template is no token.
  const ByteRange edge[] = {{1, 2}, {5, 6}};
  EXPECT_THAT(t.encode(text, {.special = {.parse = true, .literal = edge}}), ElementsAre(3));
  const ByteRange beside[] = {{0, 1}, {4, 5}};
  EXPECT_THAT(t.encode(text, {.special = {.parse = true, .literal = beside}}),
              ElementsAre(0, 5, 1, 6));
}

TEST(HfTokenizer, OffsetsOfBytesThatAreNotUtf8AreTheirs) {
  const Tokenizer t = load(small());
  const Encoding encoding = t.encode_with_offsets(
      "c\xFF"
      "b\xE2\x82"
      "abc");
  EXPECT_THAT(encoding.ids, ElementsAre(2, 1, 4));
  EXPECT_THAT(encoding.offsets, ElementsAre(Pair(0, 1), Pair(1, 3), Pair(3, 8)));
  const ByteRange literal[] = {{0, 1}};
  EXPECT_THROW(
      static_cast<void>(t.encode("\xFF", {.special = {.parse = true, .literal = literal}})), Error);
}

TEST(HfTokenizer, TokensAroundTheTextComeFromNowhere) {
  Json json = small();
  json["post_processor"] = {{"type", "BertProcessing"}, {"sep", {"</s>", 6}}, {"cls", {"<s>", 5}}};
  const Encoding encoding = load(json).encode_with_offsets("ab", {.add_special = true});
  EXPECT_THAT(encoding.ids, ElementsAre(5, 3, 6));
  EXPECT_THAT(encoding.offsets, ElementsAre(Pair(0, 0), Pair(0, 2), Pair(2, 2)));
}

class HfFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = scratch_path();
    std::filesystem::create_directories(folder_);
    write("tokenizer.json", small());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const char* name, const Json& json) const {
    io::write_file_atomically(folder_ / name, dump_json(json));
  }
  std::filesystem::path folder_;
};

TEST_F(HfFolder, AloneNamesNoEnds) {
  const Tokenizer t(folder_);
  EXPECT_EQ(t.bos_id(), -1);
  EXPECT_EQ(t.eos_id(), -1);
  EXPECT_THAT(t.end_ids(), IsEmpty());
}

TEST_F(HfFolder, TheFilesBesideNameTheEnds) {
  write("config.json", {{"bos_token_id", 5}, {"eos_token_id", 4}});
  EXPECT_EQ(Tokenizer(folder_).bos_id(), 5);
  EXPECT_EQ(Tokenizer(folder_).eos_id(), 4);
  write("generation_config.json", {{"eos_token_id", {3, 6, 99}}});
  EXPECT_EQ(Tokenizer(folder_).eos_id(), 3);
  EXPECT_THAT(Tokenizer(folder_).end_ids(), ElementsAre(3, 6));
  write("tokenizer_config.json", {{"bos_token", nullptr}, {"eos_token", {{"content", "</s>"}}}});
  const Tokenizer t(folder_);
  EXPECT_EQ(t.eos_id(), 6);
  EXPECT_THAT(t.end_ids(), ElementsAre(3, 6));
  EXPECT_TRUE(t.files().contains("tokenizer_config.json"));
  EXPECT_FALSE(t.files().contains("config.json"));
  write("generation_config.json", Json::array());
  EXPECT_THROW(Tokenizer{folder_}, Error);
}

TEST_F(HfFolder, MayBeNamedByItsFile) {
  write("tokenizer_config.json", {{"eos_token", "</s>"}});
  EXPECT_EQ(Tokenizer(folder_ / "tokenizer.json").eos_id(), 6);
  std::filesystem::remove(folder_ / "tokenizer.json");
  try {
    const Tokenizer missing(folder_);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kMissingInput);
  }
}

}  // namespace
}  // namespace nativo::text
