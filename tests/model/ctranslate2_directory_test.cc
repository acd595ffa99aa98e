#include "model/ctranslate2_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/scratch.h"
#include "model/ctranslate2_writer.h"

namespace nativo::model {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Tokens = std::vector<std::string>;

TEST(TranslationVocabulary, UnknownTokensAndDoubledTokens) {
  const TranslationVocabulary vocabulary({"<s>", "a", "b", "a"}, "<unk>");
  EXPECT_EQ(vocabulary.size(), 5);
  EXPECT_EQ(vocabulary.unknown(), 4);
  EXPECT_EQ(vocabulary.id("a"), 1);
  EXPECT_EQ(vocabulary.token(3), "a");
  EXPECT_EQ(vocabulary.id("never"), 4);
  EXPECT_EQ(vocabulary.find("never"), std::nullopt);
  EXPECT_EQ(TranslationVocabulary({"<unk>", "x"}, "<unk>").size(), 2);
}

TEST(TranslationVocabulary, LinesKeepTheirCarriageReturnUnlessAllHaveOne) {
  EXPECT_THAT(parse_vocabulary_text("a\nb\n"), ElementsAre("a", "b"));
  EXPECT_THAT(parse_vocabulary_text("a\n\nb"), ElementsAre("a", "", "b"));
  EXPECT_THAT(parse_vocabulary_text("a\r\nb\r\n"), ElementsAre("a", "b"));
  EXPECT_THAT(parse_vocabulary_text("a\r\nb\n"), ElementsAre("a\r", "b"));
  EXPECT_THAT(parse_vocabulary_text(""), ElementsAre());
}

TEST(TranslationVocabulary, JsonIsAListOfStrings) {
  EXPECT_THAT(parse_vocabulary_json(R"(["a", "\u00e0"])", "v.json"), ElementsAre("a", "à"));
  EXPECT_THROW((void)parse_vocabulary_json(R"(["a", 1])", "v.json"), Error);
  EXPECT_THROW((void)parse_vocabulary_json(R"({"a": 1})", "v.json"), Error);
  EXPECT_THROW((void)parse_vocabulary_json("[", "v.json"), Error);
}

TEST(VocabularyMap, CandidatesOfEveryRunOfSourceTokens) {
  const TranslationVocabulary target({"<unk>", "x", "y", "z", "w"}, "<unk>");
  const VocabularyMap map("\tw\na\tx\na b\ty z\nq\tnever\n", target, "vmap.txt");
  EXPECT_THAT(map.candidates(Tokens{"c"}), ElementsAre(4));
  EXPECT_THAT(map.candidates(Tokens{"c", "a"}), ElementsAre(1, 4));
  EXPECT_THAT(map.candidates(Tokens{"a", "b"}), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(map.candidates(Tokens{"q"}), ElementsAre(0, 4));
  EXPECT_THROW(VocabularyMap("a x\n", target, "vmap.txt"), Error);
}

class CTranslate2DirectoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = scratch_path();
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& content) const {
    std::ofstream(folder_ / name, std::ios::binary) << content;
  }
  void write_model(std::uint32_t version) const {
    ModelBinWriter writer;
    writer.version = version;
    writer.begin(2);
    writer.variable<std::int8_t>("with_source_eos", {}, 1, {1});
    writer.variable<std::int8_t>("with_target_bos", {}, 1, {0});
    if (version >= 3) writer.number(std::uint32_t{0});
    write("model.bin", writer.bytes);
  }
  [[nodiscard]] std::string failure() const {
    try {
      (void)read_ctranslate2_directory(folder_);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  fs::path folder_;
};

TEST_F(CTranslate2DirectoryTest, OldVersionsKeepSpecialTokensInTheModel) {
  write_model(5);
  write("source_vocabulary.txt", "a\nb\n");
  write("target_vocabulary.txt", "x\n");
  write("vmap.txt", "a\tx\n");
  const CTranslate2Directory directory = read_ctranslate2_directory(folder_);
  EXPECT_TRUE(directory.special.add_source_end);
  EXPECT_FALSE(directory.special.add_source_begin);
  EXPECT_EQ(directory.special.decoder_start, "</s>");
  EXPECT_EQ(directory.source->size(), 3);
  EXPECT_EQ(directory.target->size(), 2);
  ASSERT_NE(directory.map, nullptr);
}

TEST_F(CTranslate2DirectoryTest, VersionSixHasAConfig) {
  write_model(6);
  write("shared_vocabulary.json", R"(["a", "UNK"])");
  EXPECT_THAT(failure(), HasSubstr("config.json"));
  write("config.json", R"({"unk_token": "UNK", "decoder_start_token": null,
                           "add_source_bos": true, "layer_norm_epsilon": 1e-3})");
  const CTranslate2Directory directory = read_ctranslate2_directory(folder_);
  EXPECT_EQ(directory.source, directory.target);
  EXPECT_EQ(directory.source->size(), 2);
  EXPECT_TRUE(directory.special.add_source_begin);
  EXPECT_EQ(directory.special.decoder_start, std::nullopt);
  EXPECT_EQ(directory.layer_norm_epsilon, 1e-3);
  write("config.json", R"({"add_source_bos": 1})");
  EXPECT_THAT(failure(), HasSubstr("\"add_source_bos\" must be true or false"));
}

TEST_F(CTranslate2DirectoryTest, SaysWhatIsMissing) {
  EXPECT_THAT(failure(), HasSubstr("no model.bin"));
  write_model(5);
  EXPECT_THAT(failure(), HasSubstr("no vocabulary"));
  write("target_vocabulary.txt", "x\n");
  EXPECT_THAT(failure(), HasSubstr("no vocabulary"));
}

}  // namespace
}  // namespace nativo::model
