// The translation engine against CTranslate2's own results (tests/golden/ctranslate2), and against
// itself: a sentence alone = among others.
#include "generate/translator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "base/error.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/scratch.h"
#include "io/file.h"

namespace nativo::generate {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const fs::path kGolden = fs::path(NATIVO_SOURCE_DIR) / "tests" / "golden" / "ctranslate2";
using Tokens = std::vector<std::string>;

std::vector<fs::path> cases() {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(kGolden)) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

BeamSearchOptions options_of(const Json& json) {
  BeamSearchOptions options;
  options.beam_size = json.value("beam_size", 2);
  options.num_hypotheses = json.value("num_hypotheses", 1);
  options.patience = json.value("patience", 1.0);
  options.length_penalty = json.value("length_penalty", 1.0);
  options.coverage_penalty = json.value("coverage_penalty", 0.0);
  options.repetition_penalty = json.value("repetition_penalty", 1.0);
  options.no_repeat_ngram = json.value("no_repeat_ngram_size", 0);
  options.min_length = json.value("min_decoding_length", 1);
  options.max_length = json.value("max_decoding_length", 256);
  options.replace_unknown = json.value("replace_unknowns", false);
  options.disable_unknown = json.value("disable_unk", false);
  options.scores = true;
  return options;
}

std::vector<TranslationRequest> requests_of(const Json& run) {
  std::vector<TranslationRequest> requests;
  for (std::size_t i = 0; i < run.at("sources").size(); ++i) {
    TranslationRequest& request = requests.emplace_back();
    request.source = run.at("sources").at(i).get<Tokens>();
    if (!run.at("prefixes").is_null()) request.prefix = run.at("prefixes").at(i).get<Tokens>();
  }
  return requests;
}

Json expected_of(const fs::path& folder) {
  const fs::path path = folder / "expected.json";
  return parse_json(io::read_file(path), path.native()).at("runs");
}

struct Differences {
  std::size_t hypotheses = 0;
  std::size_t tokens = 0;  ///< hypotheses with other tokens
  std::size_t scores = 0;  ///< with the same tokens, but another score
};

/// How the results differ from CTranslate2's of the run.
Differences differences(const std::vector<std::vector<TranslatedTokens>>& results, const Json& run,
                        double tolerance) {
  Differences count;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Json& expected = run.at("results").at(i);
    EXPECT_EQ(results[i].size(), expected.size());
    for (std::size_t k = 0; k < std::min(results[i].size(), expected.size()); ++k) {
      ++count.hypotheses;
      if (results[i][k].tokens != expected[k].at("tokens").get<Tokens>()) {
        ++count.tokens;
      } else if (!(std::fabs(results[i][k].score - expected[k].at("score").get<double>()) <
                   tolerance)) {
        ++count.scores;
      }
    }
  }
  return count;
}

TEST(Translator, F32IsCTranslate2TokenForToken) {
  for (const fs::path& folder : cases()) {
    const Translator translator(folder, model::ComputeType::kF32);
    const Json runs = expected_of(folder).at("float32");
    for (const auto& [name, run] : runs.items()) {
      SCOPED_TRACE(folder.filename().native() + ' ' + name);
      // Sums of up to 24 log-probabilities in f32.
      const Differences found = differences(
          translator.translate(requests_of(run), options_of(run.at("options"))), run, 2e-4);
      EXPECT_EQ(found.tokens, 0U);
      EXPECT_EQ(found.scores, 0U);
    }
  }
}

TEST(Translator, Int8IsCTranslate2TokenForToken) {
  Differences all;
  for (const fs::path& folder : cases()) {
    const Translator translator(folder, model::ComputeType::kInt8);
    EXPECT_TRUE(translator.network().is_int8());
    const Json runs = expected_of(folder).at("int8");
    for (const auto& [name, run] : runs.items()) {
      const auto results = translator.translate(requests_of(run), options_of(run.at("options")));
      const Differences found = differences(results, run, 2e-4);
      all.hypotheses += found.hypotheses;
      all.tokens += found.tokens;
      all.scores += found.scores;
    }
  }
  // An activation between two codes may fall on either side when the f32 sums before it are added
  // in another order; a code more or less moves a score by some 1e-3, and now and then a choice.
  EXPECT_GT(all.hypotheses, 2000U);
  EXPECT_LE(all.tokens * 200, all.hypotheses) << all.tokens << " of " << all.hypotheses;
  EXPECT_LE(all.scores * 50, all.hypotheses) << all.scores << " of " << all.hypotheses;
}

TEST(Translator, ASentenceAloneIsTheSameAmongOthersToTheLastBit) {
  for (const char* name : {"sinusoids_relu", "shared_int8", "relative_gelu_tanh"}) {
    const Translator translator(kGolden / name, model::ComputeType::kStored);
    const Json runs = expected_of(kGolden / name).at("float32");
    for (const char* run_name : {"greedy", "beam", "coverage", "prefix"}) {
      SCOPED_TRACE(std::string(name) + ' ' + run_name);
      const Json& run = runs.at(run_name);
      const BeamSearchOptions options = options_of(run.at("options"));
      std::vector<TranslationRequest> requests = requests_of(run);
      std::vector<std::vector<TranslatedTokens>> alone;
      for (const TranslationRequest& request : requests) {
        alone.push_back(translator.translate(std::span(&request, 1), options)[0]);
      }
      // Three times over, backwards too, so that several workers have something to do.
      std::vector<std::size_t> order;
      for (std::size_t i = 0; i < 3 * requests.size(); ++i) order.push_back(i % requests.size());
      std::reverse(order.begin() + 5, order.end());
      std::vector<TranslationRequest> many;
      for (const std::size_t i : order) many.push_back(requests[i]);
      const int before = thread_count();
      for (const int threads : {1, 3}) {
        set_thread_count(threads);
        for (const std::int64_t rows : {1, 7, 128}) {
          const auto together = translator.translate(many, options, false, rows);
          for (std::size_t i = 0; i < order.size(); ++i) {
            const auto& one = alone[order[i]];
            ASSERT_EQ(together[i].size(), one.size());
            for (std::size_t k = 0; k < one.size(); ++k) {
              ASSERT_EQ(together[i][k].tokens, one[k].tokens);
              ASSERT_EQ(together[i][k].score, one[k].score);
            }
          }
        }
      }
      set_thread_count(before);
    }
  }
}

/// A copy of a golden model that a test may change.
class TranslatorFolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = scratch_path();
    fs::remove_all(folder_);
    fs::copy(kGolden / "sinusoids_relu", folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string failure(const std::function<void()>& action) const {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  fs::path folder_;
};

TEST_F(TranslatorFolderTest, AShortlistAllowsNothingElse) {
  io::write_file_atomically(folder_ / "vmap.txt", "\tt3\ns1\tt4 t5\ns1 s2\tt6\n");
  const Translator translator(folder_, model::ComputeType::kStored);
  EXPECT_TRUE(translator.has_vocabulary_map());
  BeamSearchOptions options;
  options.max_length = 20;
  const std::vector<TranslationRequest> requests{{{"s1", "s2"}, {"t9"}}, {{"s7"}, {}}};
  const auto results = translator.translate(requests, options, true);
  const Tokens of_first{"t3", "t4", "t5", "t6", "t9", "<unk>", "<s>"};
  for (const std::string& token : results[0][0].tokens)
    EXPECT_THAT(of_first, testing::Contains(token));
  EXPECT_EQ(results[0][0].tokens.at(0), "t9");
  for (const std::string& token : results[1][0].tokens) {
    EXPECT_THAT((Tokens{"t3", "<unk>", "<s>"}), testing::Contains(token));
  }
  // Alone, it has the same candidates: what stands beside a sentence never widens its choice.
  const auto alone = translator.translate(std::span(&requests[1], 1), options, true);
  EXPECT_EQ(alone[0][0].tokens, results[1][0].tokens);
  EXPECT_EQ(alone[0][0].score, results[1][0].score);
}

TEST_F(TranslatorFolderTest, RefusesAModelThatDoesNotFitItself) {
  io::write_file_atomically(folder_ / "target_vocabulary.json", R"(["<unk>","<s>","</s>","a"])");
  EXPECT_THAT(failure([&] { Translator(folder_, model::ComputeType::kStored); }),
              HasSubstr("variable decoder/projection/weight: has 48 rows for 4 target tokens"));
  io::write_file_atomically(folder_ / "target_vocabulary.json", R"(["<unk>","<s>","a"])");
  EXPECT_THAT(failure([&] { Translator(folder_, model::ComputeType::kStored); }),
              HasSubstr("48 rows"));
}

TEST(Translator, NamesTheSentenceThatIsTooLong) {
  const Translator translator(kGolden / "positions_gelu_post_norm", model::ComputeType::kStored);
  std::vector<TranslationRequest> requests(2);
  requests[0].source = {"s1"};
  requests[1].source.assign(61, "s1");
  BeamSearchOptions options;
  try {
    (void)translator.translate(requests, options);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("sentence 2: 61 tokens, but the model has 60 positions"));
  }
  options.max_source = 60;  // cut; and the target stops where its positions end
  const auto results = translator.translate(requests, options);
  EXPECT_LE(results[1][0].tokens.size(), 60U);
}

// CTranslate2's own test models, when NATIVO_DATA names a folder that holds model_ct2_aren/.
TEST_F(TranslatorFolderTest, PublishedModelsTransliterate) {
  const char* data = std::getenv("NATIVO_DATA");
  if (data == nullptr) GTEST_SKIP() << "NATIVO_DATA is not set: no published models to read";
  for (const char* name : {"v1_aren-transliteration", "v2_aren-transliteration",
                           "v2_aren-transliteration-i16", "v2_aren-transliteration-i8"}) {
    SCOPED_TRACE(name);
    const fs::path folder = folder_ / name;
    fs::create_directory(folder);
    for (const char* file : {"model.bin", "source_vocabulary.txt", "target_vocabulary.txt"}) {
      fs::copy(fs::path(data) / "model_ct2_aren" / (std::string(name) + '.' + file), folder / file);
    }
    for (const auto compute : {model::ComputeType::kF32, model::ComputeType::kInt8}) {
      const Translator translator(folder, compute);
      const std::vector<TranslationRequest> requests{{{"آ", "ت", "ز", "م", "و", "ن"}, {}}};
      BeamSearchOptions options;
      options.beam_size = 1;
      options.scores = true;
      const auto results = translator.translate(requests, options);
      EXPECT_EQ(results[0][0].tokens, (Tokens{"a", "t", "z", "m", "o", "n"}));
      EXPECT_NEAR(results[0][0].score, -0.1527, 0.005);
    }
  }
}

}  // namespace
}  // namespace nativo::generate
