#include "translate/router.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "io/file.h"

namespace nativo::translate {
namespace {

data::Record text_record(const std::string& text) {
  data::Record record;
  record.text = text;
  record.source = "s";
  return record;
}

double feature(Feature which, const std::string& text, const WordFrequencies& frequencies = {}) {
  return measure_features(text_record(text), frequencies, 1)[static_cast<std::size_t>(which)];
}

TEST(Router, MeasuresWhatItSays) {
  EXPECT_EQ(feature(Feature::kLength, "One two, three: 4 `five six`."), 3.0);
  EXPECT_GT(feature(Feature::kCode, "Run\n```\nmake all\nmake install\n```\n"), 0.8);
  EXPECT_EQ(feature(Feature::kCode, "Nothing of the kind."), 0.0);
  EXPECT_GT(feature(Feature::kMarkup, "<b>bold</b> and {name}"), 100.0);
  EXPECT_GT(feature(Feature::kMaths, "Let $x^2 + y^2 = z^2$ hold."), 0.4);
  EXPECT_DOUBLE_EQ(feature(Feature::kNames, "The city of Rome. It is in Italy."), 2.0 / 8.0);
  WordFrequencies frequencies;
  frequencies.add("the cat and the dog");
  EXPECT_DOUBLE_EQ(feature(Feature::kRarity, "The cat and the ocelot", frequencies), 0.2);
  EXPECT_DOUBLE_EQ(feature(Feature::kRarity, "", frequencies), 0.0);
}

TEST(Router, TheScoreIsTheSumOfItsParts) {
  RouteOptions options;
  options.complex = "llm";
  options.threshold = 0.55;
  options.length = {10, 0.4};
  options.rarity = {1, 0};
  options.code = {0.5, 0.5};
  const WordFrequencies frequencies;
  const Router router(options, {"bulk", "llm"}, {}, frequencies);
  EXPECT_TRUE(router.decides());
  const Route simple = router.route(text_record("just five words in here"));
  EXPECT_EQ(simple.step, 0U);
  EXPECT_DOUBLE_EQ(simple.score, 0.2);
  const Route hard = router.route(text_record("Fix it\n```\nint main() { return 0; }\n```\n"));
  EXPECT_EQ(hard.step, 1U);
  double sum = 0.0;
  for (const auto& [which, added] : hard.parts) sum += added;
  EXPECT_DOUBLE_EQ(hard.score, sum);
  EXPECT_EQ(hard.parts.front().first, Feature::kCode);
  const std::vector<std::string> steps = {"bulk", "llm"};
  const Json json = to_json(hard, steps);
  EXPECT_EQ(json["to"], "llm");
  EXPECT_EQ(json["why"]["code"], 0.5);
}

TEST(Router, WithoutARuleAllBeginAtTheFirstStep) {
  const WordFrequencies frequencies;
  const Router router({}, {"bulk"}, {{"s", ""}}, frequencies);
  EXPECT_FALSE(router.decides());
  EXPECT_EQ(router.route(text_record("```\ncode\n```")).step, 0U);
}

TEST(Router, UnknownStepsAndBadFilesAreRefused) {
  const WordFrequencies frequencies;
  RouteOptions options;
  options.complex = "lmm";
  EXPECT_THROW(Router(options, {"bulk", "llm"}, {}, frequencies), Error);
  EXPECT_THROW(Router({}, {"bulk"}, {{"s", "llm"}}, frequencies), Error);
  const auto path = std::filesystem::temp_directory_path() / "nativo-frequencies";
  io::write_file_atomically(path, "The 12\n\nhouse\t3\nNew York 5\n");
  const WordFrequencies loaded = WordFrequencies::load(path);
  EXPECT_EQ(loaded.count("the"), 12U);
  EXPECT_EQ(loaded.count("new york"), 5U);
  EXPECT_EQ(loaded.count("The"), 0U);
  io::write_file_atomically(path, "the 12\nhouse three\n");
  try {
    (void)WordFrequencies::load(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(":2: a word and its count"), std::string::npos);
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace nativo::translate
