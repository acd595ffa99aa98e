// The engine argos against Argos Translate's own translations (tests/golden/argos), and against
// itself: a sentence alone = among others.
#include "translate/argos_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "base/error.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/strings.h"
#include "io/file.h"
#include "io/temp_folder.h"
#include "text/protected_spans.h"
#include "translate/translate_stage.h"

namespace nativo::translate {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const fs::path kGolden = fs::path(NATIVO_SOURCE_DIR) / "tests" / "golden" / "argos";

ArgosOptions options_at(const fs::path& path, std::int64_t beam, const std::string& compute) {
  ArgosOptions options;
  options.package = path.native();
  options.beam_size = beam;
  options.compute = compute;
  return options;
}

/// A package of the golden ones.
ArgosOptions options(const std::string& package, std::int64_t beam = 4,
                     const std::string& compute = "f32") {
  return options_at(kGolden / package, beam, compute);
}

Json expected() {
  const fs::path path = kGolden / "expected.json";
  return parse_json(io::read_file(path), path.native());
}

std::vector<Sentence> sentences_of(const Json& json, bool with_parts = false) {
  std::vector<Sentence> sentences;
  for (const Json& each : json) {
    Sentence& sentence = sentences.emplace_back(Sentence{each.get<std::string>(), {}});
    if (!with_parts) continue;
    for (const text::Span& span : text::find_spans(sentence.text)) {
      sentence.parts.push_back({span.begin, span.end, span.kind});
    }
  }
  return sentences;
}

/// How many translations differ from Argos's. Its null stands for a translation without an end.
std::size_t differences(const ArgosOptions& how, const std::string& from, const std::string& to,
                        const Json& sentences, const Json& wanted) {
  const auto engine = make_argos_engine(how, from, to);
  const auto answers = engine->translate(sentences_of(sentences));
  std::size_t different = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const std::string want = wanted[i].is_null() ? "" : wanted[i].get<std::string>();
    const std::string text(trim(want));
    EXPECT_TRUE(answers[i].ok || answers[i].text.empty());
    if (answers[i].ok ? answers[i].text != text : !text.empty()) ++different;
    EXPECT_EQ(answers[i].ok, answers[i].reason.empty());
  }
  return different;
}

class ArgosGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(ArgosGolden, TranslatesAsArgosDoes) {
  const Json all = expected();
  const std::string from = GetParam().substr(10, 2);
  const std::string to = GetParam().substr(13, 2);
  for (const std::int64_t beam : {1, 4}) {
    const auto count = [&](const std::string& compute, const std::string& run) {
      return differences(options(GetParam(), beam, compute), from, to, all.at("sentences"),
                         all.at("runs").at(GetParam()).at(run + " " + std::to_string(beam)));
    };
    // The int8 package is widened for f32, as CTranslate2 does.
    EXPECT_EQ(count("f32", "float32"), 0U) << "beam " << beam;
    // An activation between two codes may fall to either side (docs/translation-engine.md), and
    // these models choose between near equals at every token.
    EXPECT_LE(count("int8", "int8"), 3U) << "beam " << beam;
  }
}

INSTANTIATE_TEST_SUITE_P(Packages, ArgosGolden,
                         ::testing::Values("translate-en_it-1_0", "translate-en_es-1_2",
                                           "translate-es_it-1_9"),
                         [](const auto& each) { return each.param.substr(10, 5); });

TEST(ArgosEngine, ASentenceDependsOnItselfAlone) {
  const auto sentences = sentences_of(expected().at("sentences"), true);
  const auto engine = make_argos_engine(options("translate-en_es-1_2", 2, "int8"), "en", "es");
  const auto together = engine->translate(sentences);
  set_thread_count(1);
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    const auto alone = engine->translate(std::span(&sentences[i], 1));
    EXPECT_EQ(alone[0].text, together[i].text);
    EXPECT_EQ(alone[0].ok, together[i].ok);
    EXPECT_EQ(alone[0].words, together[i].words);
  }
  set_thread_count(0);
}

TEST(ArgosEngine, PartsComeBackOrTheSentenceFails) {
  const auto engine = make_argos_engine(options("translate-en_it-1_0"), "en", "it");
  std::vector<Sentence> sentences = sentences_of(
      Json::array({"Use `snake_case` 12 times.", "See https://example.org/a_b?c=1 at 10:30.",
                   "Nothing here.", "{name} has 3 eggs"}),
      true);
  const auto answers = engine->translate(sentences);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i].ok) {
      // With the sentence, so that somebody can see what it was.
      EXPECT_THAT(answers[i].reason, HasSubstr(": " + sentences[i].text));
      continue;
    }
    for (const Part& part : sentences[i].parts) {
      EXPECT_THAT(answers[i].text,
                  HasSubstr(sentences[i].text.substr(part.begin, part.end - part.begin)));
    }
  }
  EXPECT_EQ(answers[0].words, 2U);  // "Use" and "times"
  EXPECT_EQ(answers[2].words, 2U);
  EXPECT_EQ(answers[2].unknown, 0U);
}

TEST(ArgosEngine, WordsThatTheModelLacksAreCounted) {
  const auto engine = make_argos_engine(options("translate-en_it-1_0"), "en", "it");
  const auto answers = engine->translate(std::vector<Sentence>{{"The 日本 cat.", {}}});
  EXPECT_EQ(answers[0].words, 3U);
  EXPECT_EQ(answers[0].unknown, 1U);
}

/// Too long for the model: `count` times `part`.
std::string many(std::string_view part, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += part;
  return std::string(trim(text));
}

TEST(ArgosEngine, ALongSentenceIsItsPiecesInTheirOrder) {
  const auto engine = make_argos_engine(options("translate-en_it-1_0", 1), "en", "it");
  const Sentence sentence{many("a cat and a dog, ", 400), {}};
  const auto whole = engine->translate(std::span(&sentence, 1));
  ASSERT_TRUE(whole[0].ok);
  EXPECT_EQ(whole[0].words, 2000U);
  EXPECT_GT(whole[0].cuts, 0U);
}

TEST(ArgosEngine, WhatCannotBeCutIsTold) {
  const auto engine = make_argos_engine(options("translate-en_it-1_0", 1), "en", "it");
  const std::string words = many("many words ", 400);
  const std::vector<Sentence> sentences = {
      {many("x", 1 << 16), {}},
      {words, {{0, words.size(), text::SpanKind::kMarkup}}},
      {many("so many words ", 1 << 14), {}},  // more than the pieces allowed
  };
  for (const Translation& answer : engine->translate(sentences)) {
    EXPECT_FALSE(answer.ok);
    EXPECT_EQ(answer.text, "");
    EXPECT_THAT(answer.reason, StartsWith("too long for a model of "));
  }
}

TEST(ArgosEngine, PivotsThroughAThirdLanguage) {
  // A folder with en-es and es-it only.
  const io::TempFolder folder;
  for (const char* name : {"translate-en_es-1_2", "translate-es_it-1_9"}) {
    fs::copy(kGolden / name, folder / name, fs::copy_options::recursive);
  }
  const ArgosOptions through = options_at(folder.path(), 1, "f32");
  EXPECT_THAT(argos_route(through, "en", "it"),
              ElementsAre(folder / "translate-en_es-1_2", folder / "translate-es_it-1_9"));
  const auto engine = make_argos_engine(through, "en", "it");
  EXPECT_EQ(engine->name(), "argos");
  EXPECT_THAT(engine->version(), StartsWith("en_es 1.2 + es_it 1.9, beam 1, f32, "));
  const auto sentences = sentences_of(expected().at("sentences"));
  const auto answers = engine->translate(sentences);
  const auto first = make_argos_engine(options("translate-en_es-1_2", 1), "en", "es");
  const auto second = make_argos_engine(options("translate-es_it-1_9", 1), "es", "it");
  const auto half = first->translate(sentences);
  std::size_t good = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const auto rest = second->translate(std::vector<Sentence>{{half[i].text, {}}});
    EXPECT_EQ(answers[i].ok, half[i].ok && rest[0].ok);
    if (!answers[i].ok) continue;
    EXPECT_EQ(answers[i].text, rest[0].text);
    ++good;
  }
  EXPECT_GT(good, 10U);
  // A direct package is the shorter way.
  fs::copy(kGolden / "translate-en_it-1_0", folder / "direct", fs::copy_options::recursive);
  EXPECT_THAT(argos_route(through, "en", "it"), ElementsAre(folder / "direct"));
}

TEST(ArgosEngine, TheVersionTellsFilesAndSearch) {
  const io::TempFolder folder;
  const auto version = [&](std::int64_t beam) {
    const auto engine = make_argos_engine(options_at(folder / "p", beam, "stored"), "en", "it");
    return engine->version();
  };
  fs::copy(kGolden / "translate-en_it-1_0", folder / "p", fs::copy_options::recursive);
  const std::string before = version(4);
  EXPECT_EQ(before, version(4));
  EXPECT_NE(before, version(1));
  folder.put("p/README.md", "nothing that translating reads");
  EXPECT_EQ(before, version(4));
  std::string config = io::read_file(folder / "p/model/config.json");
  folder.put("p/model/config.json", config + "\n");
  EXPECT_NE(before, version(4));
}

TEST(ArgosEngine, WhatIsMissingIsNamed) {
  const auto refusal = [](const std::function<void()>& action) -> std::string {
    try {
      action();
    } catch (const Error& error) {
      return std::string(error.what()) + " | " + error.hint();
    }
    return "accepted";
  };
  EXPECT_THAT(refusal([] { (void)make_argos_engine({}, "en", "it"); }),
              HasSubstr("nativo fetch argos:en-it"));
  EXPECT_THAT(refusal([] { (void)make_argos_engine(options("nothing"), "en", "it"); }),
              HasSubstr("no such file or folder"));
  EXPECT_THAT(refusal([] { (void)make_argos_engine(options("translate-en_it-1_0"), "it", "en"); }),
              HasSubstr("no way from \"it\" to \"en\"; there is en to it"));
}

TEST(ArgosStage, ProtectedSpansSurviveAModelOfNonsense) {
  const auto engine = make_argos_engine(options("translate-en_it-1_0", 1), "en", "it");
  RecordTranslator translator(*engine, {}, "it");
  data::Record record;
  record.text =
      "  Use `snake_case` and call f(x) 12 times.\n\n```\ncode here\n```\n\n- see {name}, 3.5 %s\n";
  record.lang = "en";
  const auto result = translator.translate({record});
  ASSERT_EQ(result.kept.size() + result.rejected.size(), 1U);
  if (result.kept.empty()) return;
  EXPECT_TRUE(text::verify_protected(record.text, result.kept[0].text).ok());
  EXPECT_THAT(result.kept[0].text, HasSubstr("`snake_case`"));
  EXPECT_EQ(result.kept[0].lineage[0]["engine"], "argos");
}

}  // namespace
}  // namespace nativo::translate
