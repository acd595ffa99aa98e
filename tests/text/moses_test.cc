// Moses's tokenizer and the BPE of subword-nmt against sacremoses's and subword-nmt's own results
// (tests/golden/moses).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/strings.h"
#include "io/file.h"
#include "io/lines.h"
#include "text/bpe_codes.h"
#include "text/moses_tokenizer.h"

namespace nativo::text {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Tokens = std::vector<std::string>;

const fs::path kGolden = fs::path(NATIVO_SOURCE_DIR) / "tests" / "golden" / "moses";

Json golden(const std::string& name) { return parse_json(io::read_file(kGolden / name), name); }

BpeCodes codes(const std::string& version) {
  const fs::path path = kGolden / ("codes-" + version + ".bpe");
  return BpeCodes(io::read_file(path), path.native());
}

Tokens pieces(const BpeCodes& bpe, const Tokens& words) {
  Tokens all;
  for (const std::string& word : words) bpe.encode(word, all);
  return all;
}

class MosesGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(MosesGolden, NormalizesAndTokenizesAsSacremoses) {
  const std::string lang = GetParam();
  const MosesTokenizer tokenizer(lang);
  std::size_t cases = 0;
  const Json file = golden(lang + ".json");
  for (const Json& each : file.at("cases")) {
    const auto text = each.at("text").get<std::string>();
    SCOPED_TRACE(text);
    const auto normal = each.at("normal").get<std::string>();
    EXPECT_EQ(moses_normalize(text, lang), normal);
    EXPECT_EQ(tokenizer.tokenize(normal), each.at("tokens").get<Tokens>());
    EXPECT_EQ(tokenizer.tokenize(text), each.at("raw").get<Tokens>());
    ++cases;
  }
  EXPECT_GE(cases, 90U);
}

TEST_P(MosesGolden, DetokenizesAsSacremoses) {
  const std::string lang = GetParam();
  const Json file = golden(lang + ".json");
  for (const char* list : {"cases", "joined"}) {
    for (const Json& each : file.at(list)) {
      const auto tokens = each.at("tokens").get<Tokens>();
      const char* key = each.contains("joined") ? "joined" : "text";
      EXPECT_EQ(moses_detokenize(tokens, lang), each.at(key).get<std::string>())
          << each.at("tokens").dump();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Languages, MosesGolden,
                         ::testing::Values("en", "it", "es", "fr", "de", "pt", "zh", "ja", "ko",
                                           "sv", "xx"),
                         [](const auto& each) { return each.param; });

TEST(BpeCodes, CutsWordsAsSubwordNmt) {
  const Json file = golden("bpe.json");
  for (const std::string version : {"0.1", "0.2"}) {
    const BpeCodes bpe = codes(version);
    EXPECT_GT(bpe.size(), 600U);
    std::set<std::size_t> counts;
    for (const Json& each : file.at(version)) {
      const auto word = each.at(0).get<std::string>();
      const Tokens cut = pieces(bpe, {word});
      EXPECT_EQ(cut, each.at(1).get<Tokens>()) << version << ' ' << word;
      counts.insert(cut.size());
    }
    EXPECT_GT(counts.size(), 5U);
  }
}

TEST(BpeCodes, AllOfOneMergeBeforeTheNext) {
  const BpeCodes bpe("#version: 0.2\na b\nab ab\nc d</w>\nab c\n", "codes");
  EXPECT_THAT(pieces(bpe, {"ababab"}),
              ElementsAre("abab@@", "a@@", "b"));  // the last b ends the word
  EXPECT_THAT(pieces(bpe, {"abcd", "d", "xy"}), ElementsAre("ab@@", "cd", "d", "x@@", "y"));
  // "a a" before "aa a": three make one pair and one left over.
  const BpeCodes twins("a a\naa a\n", "codes");
  EXPECT_THAT(pieces(twins, {"aaaaa"}), ElementsAre("aa@@", "aaa"));
}

TEST(BpeCodes, LongWordsTakeNoLonger) {
  const BpeCodes bpe("#version: 0.2\na a\naa aa\naaaa aaaa\n", "codes");
  const std::string word(1 << 20, 'a');
  Tokens cut;
  bpe.encode(word, cut);
  std::string joined;
  for (const std::string& piece : cut) {
    joined += piece.ends_with("@@") ? piece.substr(0, piece.size() - 2) : piece;
  }
  EXPECT_EQ(joined, word);
}

TEST(BpeCodes, DamagedCodesAreRefusedByLine) {
  const auto refusal = [](std::string_view content) -> std::string {
    try {
      BpeCodes(content, "bpe.model");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kData);
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(refusal("#version: 0.2\na b\r\nc d\n\n\n"), "accepted");
  EXPECT_EQ(refusal("#version: 0.2.0\na b"), "accepted");
  EXPECT_EQ(refusal(""), "accepted");
  EXPECT_THAT(refusal("#version: 0.3\na b\n"), HasSubstr("bpe.model:1: is of a version"));
  EXPECT_THAT(refusal("#version: 0.2\na b\na b c\n"), HasSubstr("bpe.model:3: is not two symbols"));
  EXPECT_THAT(refusal("a b\n\nc d\n"), HasSubstr("bpe.model:2: "));
  EXPECT_THAT(refusal("a \xff"
                      "b\n"),
              HasSubstr("bpe.model:1: is not UTF-8"));
}

TEST(MosesRealText, IsAsSacremosesHasIt) {
  const char* data = std::getenv("NATIVO_DATA");
  if (data == nullptr) GTEST_SKIP() << "NATIVO_DATA points to no real texts";
  const BpeCodes bpe = codes("0.2");
  for (const Json& each : golden("real.json")) {
    const fs::path path = fs::path(data) / each.at("file").get<std::string>();
    if (!fs::exists(path)) continue;
    const auto lang = each.at("lang").get<std::string>();
    const MosesTokenizer tokenizer(lang);
    Sha256 tokens;
    Sha256 joined;
    Sha256 cut;
    std::int64_t lines = 0;
    const auto line_of = [](const Tokens& words) {
      std::string text;
      for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
      return text + "\n";
    };
    io::LineReader reader(path);
    for (std::string line; reader.next(line);) {
      if (line.empty()) continue;
      if (!each.at("column").is_null()) {
        line = split(line, '\t')[each.at("column").get<std::size_t>()];
      }
      const Tokens words = tokenizer.tokenize(moses_normalize(line, lang));
      tokens.update(line_of(words));
      joined.update(moses_detokenize(words, lang) + "\n");
      cut.update(line_of(pieces(bpe, words)));
      ++lines;
    }
    SCOPED_TRACE(path.native());
    EXPECT_EQ(lines, each.at("lines").get<std::int64_t>());
    EXPECT_EQ(tokens.hex(), each.at("tokens").get<std::string>());
    EXPECT_EQ(joined.hex(), each.at("joined").get<std::string>());
    EXPECT_EQ(cut.hex(), each.at("pieces").get<std::string>());
  }
}

}  // namespace
}  // namespace nativo::text
