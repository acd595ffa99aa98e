// Hostile sentencepiece models: each is refused by an Error(kData), none reaches the library.
#include "text/sentencepiece_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "base/error.h"
#include "text/sample_texts.h"
#include "text/tokenizer.h"

namespace nativo::text {
namespace {

using ::testing::HasSubstr;

// Just enough of a protobuf writer to say wrong things with.
std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string number(std::uint64_t field, std::uint64_t value) {
  return varint(field << 3) + varint(value);
}
std::string bytes(std::uint64_t field, const std::string& value) {
  return varint(field << 3 | 2) + varint(value.size()) + value;
}
std::string real(std::uint64_t field, float value) {
  std::string out = varint(field << 3 | 5) + "0000";
  std::memcpy(out.data() + out.size() - 4, &value, 4);
  return out;
}
std::string piece(const std::string& text, PieceType type = PieceType::kNormal, float score = -1) {
  return bytes(1, bytes(1, text) + real(2, score) + number(3, static_cast<std::uint64_t>(type)));
}
std::string word(std::uint32_t value) {
  std::string out(4, '\0');
  std::memcpy(out.data(), &value, 4);
  return out;
}

const std::string kTrainer = bytes(2, number(3, 2));
const std::string kUnknown = piece("<unk>", PieceType::kUnknown, 0);

std::string refusal(const std::string& model) {
  try {
    static_cast<void>(Tokenizer::from_bytes(model, "hostile.model"));
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kData);
    EXPECT_THAT(e.what(), HasSubstr("hostile.model"));
    return e.what();
  }
  return "accepted";
}

TEST(SentencepieceModel, TheSmallestOneIsAccepted) {
  EXPECT_EQ(refusal(kUnknown + piece("\xE2\x96\x81") + piece("a") + kTrainer), "accepted");
}

TEST(SentencepieceModel, PiecesThatCannotBe) {
  EXPECT_THAT(refusal(kUnknown + piece(std::string(100'000, 'a')) + kTrainer),
              HasSubstr("piece 1 is 100000 bytes long"));
  EXPECT_EQ(refusal(kUnknown + piece(std::string(1024, 'a')) + kTrainer), "accepted");
  EXPECT_THAT(refusal(kUnknown + piece(std::string(1025, 'a')) + kTrainer), HasSubstr("1025"));
  EXPECT_THAT(refusal(kUnknown + piece("") + kTrainer), HasSubstr("is empty"));
  EXPECT_THAT(refusal(kUnknown + piece(std::string("a\0b", 3)) + kTrainer), HasSubstr("NUL"));
  EXPECT_THAT(refusal(kUnknown + piece("\xC3") + kTrainer), HasSubstr("not UTF-8"));
  EXPECT_THAT(refusal(kUnknown + piece("a", static_cast<PieceType>(7)) + kTrainer),
              HasSubstr("unknown type"));
  EXPECT_THAT(
      refusal(kUnknown + piece("a", PieceType::kNormal, std::numeric_limits<float>::quiet_NaN()) +
              kTrainer),
      HasSubstr("score"));
  EXPECT_THAT(refusal(kUnknown + piece("a") + piece("a") + kTrainer), HasSubstr("already"));
  EXPECT_THAT(refusal(kUnknown + piece("è", PieceType::kControl) + kTrainer),
              HasSubstr("control piece of one letter"));
  EXPECT_THAT(refusal(kUnknown + bytes(1, number(1, 5)) + kTrainer), HasSubstr("another type"));
}

TEST(SentencepieceModel, CountsThatCannotBe) {
  EXPECT_THAT(refusal(""), HasSubstr("empty"));
  EXPECT_THAT(refusal(kTrainer), HasSubstr("no pieces"));
  EXPECT_THAT(refusal(kUnknown), HasSubstr("no trainer_spec"));
  EXPECT_THAT(refusal(piece("a") + kTrainer), HasSubstr("exactly one unknown"));
  EXPECT_THAT(refusal(kUnknown + piece("<u>", PieceType::kUnknown) + kTrainer),
              HasSubstr("exactly one unknown"));
  EXPECT_THAT(refusal(kUnknown + kTrainer + kTrainer), HasSubstr("two trainer_specs"));
  EXPECT_THAT(refusal(kUnknown + bytes(2, number(3, 4))), HasSubstr("neither BPE nor unigram"));
  std::string many = kUnknown + kTrainer;
  const std::string one = piece("a");
  for (std::size_t i = 0; i < kMaxPieces; ++i) many += one;
  EXPECT_THAT(refusal(many), HasSubstr("million"));
}

TEST(SentencepieceModel, BytesThatAreNotItsOwn) {
  const std::string good = kUnknown + piece("a") + kTrainer;
  EXPECT_THAT(refusal("model: not a model"), HasSubstr("not a usable"));
  EXPECT_THAT(refusal(good + "trailing"), HasSubstr("not a usable"));
  EXPECT_THAT(refusal(good + std::string(1, '\0')), HasSubstr("not a usable"));
  EXPECT_THAT(refusal(varint(1 << 3 | 2) + varint(~std::uint64_t{0}) + good),
              HasSubstr("longer than the bytes left"));
  EXPECT_THAT(refusal(std::string(11, '\xFF')), HasSubstr("64 bits"));
  EXPECT_THAT(refusal(good + bytes(9, "x")), HasSubstr("unknown field 9"));
  // Any cut takes a piece's end, the trainer_spec, or both.
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_NE(refusal(good.substr(0, size)), "accepted") << size;
  }
}

TEST(SentencepieceModel, TruncationsOfATrainedModelNeverCrash) {
  const std::string whole = train_tokenizer(sample_texts(), 400, {});
  std::size_t refused = 0;
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    if (refusal(whole.substr(0, size)) != "accepted") ++refused;
  }
  // A cut right after the trainer_spec leaves a whole, smaller model: its digest tells them apart.
  EXPECT_GE(refused + 2, (whole.size() + 6) / 7);
}

TEST(SentencepieceModel, ManyNestedUserDefinedPieces) {
  std::string model = kUnknown + kTrainer;
  for (std::size_t length = 1; length <= 100; ++length) {
    model += piece(std::string(length, 'u'), PieceType::kUserDefined);
  }
  EXPECT_THAT(refusal(model), HasSubstr("begin with one another"));
}

// darts-clone units: label in the low byte, bit 8 = has a leaf, offset from bit 10; a leaf's value
// has bit 31.
std::string with_charsmap(const std::vector<std::uint32_t>& units, const std::string& strings) {
  std::string blob = word(static_cast<std::uint32_t>(4 * units.size()));
  for (const std::uint32_t unit : units) blob += word(unit);
  return kUnknown + piece("\xE2\x96\x81") + piece("a") + piece("b") + kTrainer +
         bytes(3, bytes(1, "custom") + bytes(2, blob + strings));
}

// One rule: 'b' becomes the string at `value`.
std::vector<std::uint32_t> one_rule(std::uint32_t value, std::uint32_t leaf_offset = 256) {
  std::vector<std::uint32_t> units(512, 0);
  units[0] = 0;
  units['b'] = static_cast<std::uint32_t>('b') | (1U << 8) | (leaf_offset << 10);
  units[256 ^ 'b'] = (1U << 31) | value;
  return units;
}

TEST(SentencepieceModel, CharacterMapsAreFollowedBeforeTheLibraryDoes) {
  const std::string strings("a\0", 2);
  const std::string good = with_charsmap(one_rule(0), strings);
  ASSERT_EQ(refusal(good), "accepted");
  const Tokenizer tokenizer = Tokenizer::from_bytes(good, "map");
  EXPECT_EQ(tokenizer.encode("b"), tokenizer.encode("a"));

  EXPECT_THAT(refusal(with_charsmap(one_rule(2), strings)), HasSubstr("beyond its strings"));
  EXPECT_THAT(refusal(with_charsmap(one_rule(0), "a")), HasSubstr("has no end"));
  EXPECT_THAT(refusal(with_charsmap(one_rule(0, 1U << 20), strings)),
              HasSubstr("leaves its bytes"));
  EXPECT_THAT(refusal(with_charsmap({1, 2, 3}, strings)), HasSubstr("leaves its bytes"));
  EXPECT_THAT(refusal(with_charsmap(one_rule(0), "")), HasSubstr("impossible size"));
  // Units that lead back to themselves give more rules at one place than the library keeps.
  std::vector<std::uint32_t> loop(256, 0);
  for (std::uint32_t label = 1; label < 256; ++label) loop[label] = label | 1U << 8 | label << 10;
  EXPECT_THAT(refusal(with_charsmap(loop, strings)), HasSubstr("too many rules"));
  EXPECT_THAT(refusal(with_charsmap(one_rule(0), strings + std::string(1 << 20, '\0'))),
              HasSubstr("larger than 1 MiB"));
}

}  // namespace
}  // namespace nativo::text
