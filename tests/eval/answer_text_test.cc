// Against tests/data/eval/golden.json, which lm-evaluation-harness's own task files and Python
// wrote.
#include "eval/answer_text.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/json.h"
#include "io/file.h"

namespace nativo::eval {
namespace {

const Json& golden() {
  static const Json json = parse_json(
      io::read_file(std::filesystem::path(NATIVO_TEST_DATA) / "eval" / "golden.json"), "golden");
  return json;
}

std::string text(const Json& json) { return json.get<std::string>(); }

TEST(AnswerText, NormalisesAsPythonDoes) {
  for (const Json& pair : golden()["normalize"]) {
    EXPECT_EQ(normalize_answer(text(pair[0])), text(pair[1])) << pair;
  }
}

TEST(AnswerText, F1AsPythonDoes) {
  for (const Json& triple : golden()["f1"]) {
    // The same formula in f64; one rounding may differ.
    EXPECT_NEAR(f1(text(triple[0]), {text(triple[1])}), triple[2].get<double>(), 1e-15) << triple;
  }
}

TEST(AnswerText, FirstSentenceAsTheHarnessFilters) {
  for (const Json& pair : golden()["first_sentence"]) {
    EXPECT_EQ(first_sentence(text(pair[0])), text(pair[1])) << pair;
  }
}

TEST(AnswerText, CleansAsOkapiDoes) {
  for (const Json& pair : golden()["clean"]) {
    EXPECT_EQ(clean_wikihow(text(pair[0])), text(pair[1])) << pair;
  }
}

TEST(AnswerText, OpenBracketsTakeLinearTime) {
  // Quadratic, this takes minutes.
  const std::string open(2000000, '[');
  EXPECT_EQ(clean_wikihow(open), open);
  EXPECT_EQ(clean_wikihow("[a\n[b] c"), "[a\n c");
}

TEST(AnswerText, TakesTheBestGold) {
  EXPECT_EQ(exact_match("Il Gatto!", {"cane", "un gatto"}), 1.0);
  EXPECT_EQ(exact_match("gatto nero", {"cane", "un gatto"}), 0.0);
  EXPECT_NEAR(f1("gatto nero", {"cane", "un gatto"}), 2.0 / 3, 1e-12);
  EXPECT_EQ(f1("", {"il"}), 1.0);  // both empty once normalised, and so equal
}

TEST(AnswerText, SpaceIsPythonsSpace) {
  EXPECT_EQ(trailing_space("a \n\xC2\xA0\xE3\x80\x80"), 7U);
  EXPECT_EQ(trailing_space("a\xE2\x80\x8B"), 0U);  // zero-width space is none
  EXPECT_EQ(strip("\xC2\xA0 a b \x1C"), "a b");
  EXPECT_EQ(strip(" \n"), "");
  EXPECT_EQ(drop_last(""), "");
}

TEST(AnswerText, SurvivesWhatIsNotUtf8) {
  const std::string odd = "\xFF il \xC3";
  EXPECT_FALSE(normalize_answer(odd).empty());
  EXPECT_EQ(lower_first("\xFFx").substr(3), "x");
  EXPECT_EQ(drop_last("a\xFF"), "a");
}

}  // namespace
}  // namespace nativo::eval
