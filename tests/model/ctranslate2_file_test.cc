#include "model/ctranslate2_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "base/error.h"
#include "io/file.h"
#include "model/ctranslate2_writer.h"

namespace nativo::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A small file of `version` with what that version can hold.
std::string small_file(std::uint32_t version) {
  ModelBinWriter writer;
  writer.version = version;
  writer.begin(version >= 4 ? 7 : 5, "TransformerSpec", version < 4 ? 2 : 7);
  const bool first = version == 1;
  writer.variable<float>(
      first ? "transformer/decoder/layer_1/masked_multi_head/conv1d_1/kernel:0" : "a/weight",
      {2, 2}, 0, {1.0F, -2.5F, 0.0F, 4.0F});
  writer.variable<float>("a/weight_scale", {2}, 0, {3.0F, 5.0F});
  writer.variable<std::int8_t>("flag", {}, 1, {-7});
  writer.variable<std::int16_t>("heads", {}, 2, {300});
  writer.variable<std::int8_t>("unk_token", {3}, 1, {'U', 'N', 'K'});
  if (version >= 4) {
    writer.variable<std::uint16_t>("half", {2}, 4, {0x3C00, 0xC000});
    writer.variable<std::uint16_t>("brain", {2}, 5, {0x3F80, 0xC000});
  }
  if (version >= 3) {
    writer.number(std::uint32_t{1});
    writer.string("b/weight");
    writer.string("a/weight");
  }
  return writer.bytes;
}

std::vector<float> floats(const CTranslate2File& file, std::string_view name) {
  const CTranslate2Variable* variable = file.find(name);
  if (variable == nullptr) return {};
  std::vector<float> values(static_cast<std::size_t>(variable->elements));
  file.read(*variable, values);
  return values;
}

std::string failure_of(const std::string& bytes) {
  try {
    const CTranslate2File file(bytes, "dir/model.bin");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    EXPECT_THAT(error.what(), HasSubstr("dir/model.bin"));
    return error.what();
  }
  return "accepted";
}

TEST(CTranslate2File, ReadsEveryVersion) {
  for (std::uint32_t version = 1; version <= 6; ++version) {
    SCOPED_TRACE(version);
    const CTranslate2File file(small_file(version), "model.bin");
    EXPECT_EQ(file.version(), version);
    EXPECT_EQ(file.spec(), version == 1 ? "" : "TransformerSpec");
    const std::string weight =
        version == 1 ? "decoder/layer_1/self_attention/linear_1/weight" : "a/weight";
    EXPECT_THAT(floats(file, weight), ElementsAre(1.0F, -2.5F, 0.0F, 4.0F));
    EXPECT_EQ(file.find(weight)->shape, (std::vector<std::int64_t>{2, 2}));
    EXPECT_EQ(file.integer("flag"), -7);
    EXPECT_EQ(file.integer("heads"), 300);
    EXPECT_EQ(file.integer("nothing"), std::nullopt);
    EXPECT_EQ(file.text("unk_token"), "UNK");
    EXPECT_EQ(file.find("nothing"), nullptr);
    if (version >= 4) {
      EXPECT_THAT(floats(file, "half"), ElementsAre(1.0F, -2.0F));
      EXPECT_THAT(floats(file, "brain"), ElementsAre(1.0F, -2.0F));
    }
    if (version >= 3) {
      EXPECT_EQ(file.find("b/weight"), file.find("a/weight"));
      EXPECT_EQ(file.find("b/weight_scale"), file.find("a/weight_scale"));
    }
  }
}

TEST(CTranslate2File, EveryTruncationIsAnError) {
  for (std::uint32_t version = 1; version <= 6; ++version) {
    const std::string whole = small_file(version);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      ASSERT_NE(failure_of(whole.substr(0, size)), "accepted") << version << ' ' << size;
    }
    EXPECT_THAT(failure_of(whole + 'x'), HasSubstr("1 bytes follow the end"));
  }
}

TEST(CTranslate2File, EveryFlippedBitIsReadOrRefused) {
  for (std::uint32_t version = 1; version <= 6; ++version) {
    const std::string whole = small_file(version);
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
      std::string flipped = whole;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      (void)failure_of(flipped);
    }
  }
}

TEST(CTranslate2File, NamesWhatIsWrong) {
  const auto with = [](const std::function<void(ModelBinWriter&)>& write) {
    ModelBinWriter writer;
    write(writer);
    return failure_of(writer.bytes);
  };
  EXPECT_THAT(failure_of(""), HasSubstr("byte 0: the file ends inside the version"));
  EXPECT_THAT(failure_of(std::string(4, '\x07')), HasSubstr("is unknown (1 to 6 are read)"));
  EXPECT_THAT(failure_of(std::string(4, '\0')), HasSubstr("version 0 is unknown"));
  EXPECT_THAT(with([](auto& w) { w.begin(4'000'000'000); }), HasSubstr("4000000000 variables"));
  EXPECT_THAT(with([](auto& w) {
                w.begin(1);
                w.template variable<float>("w", {3}, 0, {1.0F, 2.0F});
              }),
              HasSubstr("variable w has 8 bytes but 3 elements of float32"));
  EXPECT_THAT(with([](auto& w) {
                w.begin(1);
                w.template variable<float>("w", {0xFFFFFFFF, 0xFFFFFFFF}, 0, {1.0F, 2.0F});
              }),
              HasSubstr("variable w is too large"));
  EXPECT_THAT(with([](auto& w) {
                w.begin(1);
                w.template variable<float>("w", {2}, 9, {1.0F, 2.0F});
              }),
              HasSubstr("unknown type 9"));
  EXPECT_THAT(with([](auto& w) {
                w.begin(1);
                w.template variable<float>("w", std::vector<std::uint32_t>(9, 1), 0, {1.0F});
              }),
              HasSubstr("9 dimensions"));
  EXPECT_THAT(with([](auto& w) {
                w.begin(2);
                w.template variable<float>("w", {1}, 0, {1.0F});
                w.template variable<float>("w", {1}, 0, {1.0F});
              }),
              HasSubstr("variable w appears twice"));
  EXPECT_THAT(with([](auto& w) {
                w.begin(1);
                w.template variable<float>("w", {1}, 0, {1.0F});
                w.number(std::uint32_t{1});
                w.string("v");
                w.string("u");
              }),
              HasSubstr("v stands for u, which is not there"));
  EXPECT_THAT(with([](auto& w) {
                w.begin(1);
                w.template variable<float>(std::string("w\0x", 3), {1}, 0, {1.0F});
              }),
              HasSubstr("a variable's name is not a string"));
}

TEST(CTranslate2File, ValuesMustBeFinite) {
  ModelBinWriter writer;
  writer.begin(2);
  writer.variable<float>("w", {2}, 0, {1.0F, NAN});
  writer.variable<std::int8_t>("q", {2}, 1, {1, 2});
  writer.number(std::uint32_t{0});
  const CTranslate2File file(writer.bytes, "model.bin");
  EXPECT_THROW((void)floats(file, "w"), Error);
  EXPECT_THROW((void)floats(file, "q"), Error);
  EXPECT_THROW((void)file.integer("q"), Error);
  EXPECT_THROW((void)file.text("w"), Error);
}

// CTranslate2's own test models, when NATIVO_DATA names a folder that holds model_ct2_aren/.
TEST(CTranslate2File, ReadsPublishedModels) {
  const char* data = std::getenv("NATIVO_DATA");
  if (data == nullptr) GTEST_SKIP() << "NATIVO_DATA is not set: no published models to read";
  const std::filesystem::path folder = std::filesystem::path(data) / "model_ct2_aren";
  for (const char* name : {"v1_aren-transliteration", "v2_aren-transliteration",
                           "v2_aren-transliteration-i16", "v2_aren-transliteration-i8"}) {
    SCOPED_TRACE(name);
    const std::string bytes = io::read_file(folder / (std::string(name) + ".model.bin"));
    const CTranslate2File file(bytes, name);
    ASSERT_NE(file.find("decoder/layer_5/attention/linear_2/weight"), nullptr);
    EXPECT_EQ(file.find("decoder/projection/weight")->shape, (std::vector<std::int64_t>{43, 32}));
    EXPECT_EQ(file.find("encoder/embeddings/weight")->shape, (std::vector<std::int64_t>{51, 32}));
    for (std::size_t size = 0; size < bytes.size(); size += 997) {
      EXPECT_NE(failure_of(bytes.substr(0, size)), "accepted");
    }
  }
}

}  // namespace
}  // namespace nativo::model
