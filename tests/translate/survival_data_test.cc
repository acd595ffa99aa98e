// What must not change in real texts survives the stage whatever the engine does to it: every
// record comes out whole or is rejected. Run with NATIVO_DATA; with Apertium's packages where they
// are installed, and always with an engine that damages what it is given.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <regex>

#include "base/hash.h"
#include "base/json.h"
#include "parallel_data.h"
#include "translate/engine_factory.h"
#include "translate/translate_stage.h"

namespace nativo::translate {
namespace {

/// Turns words round, and loses, doubles, breaks or moves one protected part in three.
class ManglingEngine : public TranslationEngine {
 public:
  std::vector<Translation> translate(std::span<const Sentence> sentences) override {
    std::vector<Translation> all;
    for (const Sentence& sentence : sentences) all.push_back(mangle(sentence));
    return all;
  }
  std::string name() const override { return "mangling"; }
  std::string version() const override { return "1"; }

 private:
  static Translation mangle(const Sentence& sentence) {
    Translation result{{}, 4, 0, true};
    std::string moved;
    std::size_t at = 0;
    const auto copy = [&](std::size_t end) {
      for (; at < end; ++at) {
        const char c = sentence.text[at];
        result.text += c == 'e' ? 'a' : c == 's' ? 'r' : c;
      }
    };
    for (const Part& part : sentence.parts) {
      copy(part.begin);
      std::string bytes = sentence.text.substr(part.begin, part.end - part.begin);
      at = part.end;
      switch (xxh64(sentence.text, part.begin) % 12) {
        case 0:
          break;
        case 1:
          result.text += bytes + bytes;
          break;
        case 2:
          bytes.pop_back();
          result.text += bytes;
          break;
        case 3:
          moved += " " + bytes;
          break;
        default:
          result.text += bytes;
      }
    }
    copy(sentence.text.size());
    result.text += moved;
    return result;
  }
};

/// Found by patterns of this test's own, not by what the stage finds. <empty> and <file> are words
/// that translators translate.
std::map<std::string, int> marks_of(const std::string& text) {
  static const std::regex kMarks(
      R"(`[^`\n]+`|%[sd]|\{ ?[-$A-Za-z_][-$A-Za-z_0-9]* ?\}|</?(?:a|b|i|p|br|em|li|ol|ul|div|span|strong|h[1-6])>|https?://[A-Za-z0-9./_-]+)");
  std::map<std::string, int> marks;
  for (auto it = std::sregex_iterator(text.begin(), text.end(), kMarks);
       it != std::sregex_iterator(); ++it) {
    ++marks[it->str()];
  }
  return marks;
}

std::vector<std::string> texts_of(const std::vector<Pair>& pairs) {
  std::vector<std::string> texts;
  for (const Pair& pair : pairs) texts.push_back(pair.first);
  return texts;
}

std::map<std::string, std::vector<std::string>> marked_sets() {
  std::map<std::string, std::vector<std::string>> sets;
  for (const ParallelSet& set : markup_sets()) sets[set.name] = texts_of(set.pairs);
  const Json rows = parse_json(
      io::read_decompressed(parallel_data() / "instr_en_gpteacher/codegen-instruct.json.gz"),
      "codegen-instruct");
  for (const Json& row : rows) {
    sets["gpteacher"].push_back(row["instruction"].get<std::string>() + "\n\n" +
                                row["response"].get<std::string>());
  }
  return sets;
}

/// Runs every `stride`-th text through the stage; returns the share that was kept.
double survive(const std::string& name, const std::vector<std::string>& texts, std::size_t stride,
               TranslationEngine& engine) {
  TranslateOptions options;
  options.check.off = {"untranslated", "wrong_language", "length_ratio", "numbers_lost"};
  RecordTranslator translator(engine, options, "it");
  std::vector<data::Record> records;
  std::map<std::string, std::string> source_by_id;
  for (std::size_t i = 0; i < texts.size(); i += stride) {
    if (texts[i].empty() || !is_valid_utf8(texts[i])) continue;
    data::Record record;
    record.text = texts[i];
    record.lang = "en";
    record.id = data::content_id(record);
    source_by_id[record.id] = texts[i];
    records.push_back(std::move(record));
  }
  const std::size_t all = records.size();
  std::size_t marked = 0;
  const data::BlockResult result = translator.translate(std::move(records));
  EXPECT_EQ(result.kept.size() + result.rejected.size(), all) << name;
  for (const data::Record& record : result.kept) {
    const std::string& source = source_by_id.at(record.lineage[0]["source_id"].get<std::string>());
    const auto marks = marks_of(source);
    marked += !marks.empty();
    EXPECT_EQ(marks_of(record.text), marks) << name << "\n" << source << "\n" << record.text;
  }
  fmt::print(
      "{:<10} {:<10} {:>6} texts, {:>6} kept ({:.2f} %), of these {} with marks, all whole\n",
      engine.name(), name, all, result.kept.size(),
      100.0 * static_cast<double>(result.kept.size()) / static_cast<double>(all), marked);
  return static_cast<double>(result.kept.size()) / static_cast<double>(all);
}

TEST(SurvivalOnData, NoMarkIsLostByAnEngineThatDamagesThem) {
  if (parallel_data().empty()) GTEST_SKIP() << "NATIVO_DATA is not set";
  for (const auto& [name, texts] : marked_sets()) {
    ManglingEngine engine;
    EXPECT_GT(survive(name, texts, 1, engine), 0.5) << name;
  }
}

TEST(SurvivalOnData, NoMarkIsLostByApertium) {
  if (parallel_data().empty()) GTEST_SKIP() << "NATIVO_DATA is not set";
  if (engine_unavailable("apertium", {}, "it")) GTEST_SKIP() << "Apertium is not installed";
  for (const auto& [name, texts] : marked_sets()) {
    const auto engine = make_engine("apertium", {}, "it");
    EXPECT_GT(survive(name, texts, 20, *engine), 0.8) << name;
  }
}

}  // namespace
}  // namespace nativo::translate
