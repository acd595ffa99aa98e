#include "model/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "base/error.h"
#include "base/hash.h"
#include "base/scratch.h"
#include "io/file.h"

namespace nativo::model {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const fs::path kGolden = fs::path(NATIVO_TEST_DATA) / "safetensors";

class SafetensorsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = scratch_path();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
};

std::vector<float> read_all(const SafetensorsFile& file, std::string_view name) {
  const TensorEntry* entry = file.find(name);
  if (entry == nullptr) return {};
  std::vector<float> values(static_cast<std::size_t>(entry->elements));
  file.read(*entry, values);
  return values;
}

TEST_F(SafetensorsTest, WritesTheBytesOfTheFormatsOwnLibrary) {
  const SafetensorsFile source(kGolden / "f32.safetensors");
  std::vector<std::vector<float>> values;
  std::vector<TensorToWrite> tensors;
  for (const TensorEntry& entry : source.header().tensors) {
    values.push_back(read_all(source, entry.name));
  }
  for (std::size_t i = values.size(); i-- > 0;) {  // any order in: sorted out
    const TensorEntry& entry = source.header().tensors[i];
    tensors.push_back({entry.name, entry.shape, values[i]});
  }
  ASSERT_EQ(tensors.size(), 5u);
  for (const auto& [name, type] : {std::pair{"f32.safetensors", StorageType::kF32},
                                   std::pair{"f16.safetensors", StorageType::kF16},
                                   std::pair{"bf16.safetensors", StorageType::kBf16}}) {
    const std::string digest = write_safetensors(folder_ / name, tensors, type);
    EXPECT_TRUE(io::read_file(folder_ / name) == io::read_file(kGolden / name)) << name;
    EXPECT_EQ(digest, io::file_sha256(folder_ / name));
  }
}

TEST_F(SafetensorsTest, StoresTensorsOfSeveralTypesAsTheFormatsOwnLibraryDoes) {
  const SafetensorsFile source(kGolden / "mixed.safetensors");
  std::vector<TensorToWrite> tensors;
  for (const TensorEntry& entry : source.header().tensors) {
    tensors.push_back({.name = entry.name,
                       .shape = entry.shape,
                       .values = {},
                       .stored = StoredValues{entry.type, source.bytes(entry)}});
  }
  std::ranges::reverse(tensors);
  ASSERT_EQ(tensors.size(), 6u);
  write_safetensors(folder_ / "mixed.safetensors", tensors, StorageType::kF32);
  EXPECT_TRUE(io::read_file(folder_ / "mixed.safetensors") ==
              io::read_file(kGolden / "mixed.safetensors"));
}

TEST_F(SafetensorsTest, CodesOfEightBitsAreNotTakenForWeights) {
  const SafetensorsFile source(kGolden / "mixed.safetensors");
  EXPECT_EQ(source.find("b.i8")->bytes, 256u);
  EXPECT_EQ(source.bytes(*source.find("b.i8"))[0], std::byte{0x80});
  for (const char* name : {"b.i8", "a.u8"}) {
    std::vector<float> values(256);
    try {
      source.read(*source.find(name), values);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kData);
      EXPECT_THAT(error.what(), HasSubstr(name));
    }
  }
}

TEST_F(SafetensorsTest, ReadsShapesAndMetadata) {
  const SafetensorsFile file(kGolden / "bf16.safetensors");
  EXPECT_EQ(file.header().metadata.at(0), (std::pair<std::string, std::string>("format", "pt")));
  EXPECT_EQ(file.find("b.weight")->shape, (std::vector<std::int64_t>{37, 53}));
  EXPECT_EQ(file.find("scalar")->elements, 1);
  EXPECT_EQ(file.find("empty")->elements, 0);
  EXPECT_EQ(file.find("nothing"), nullptr);
  EXPECT_EQ(read_all(file, "scalar").at(0), 0.10009765625f);
}

TEST(StorageType, EveryHalfSurvivesTheWayThroughF32) {
  for (std::uint32_t i = 0; i <= 0xFFFF; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const bool nan16 = (bits & 0x7C00) == 0x7C00 && (bits & 0x3FF) != 0;
    const bool nanb = (bits & 0x7F80) == 0x7F80 && (bits & 0x7F) != 0;
    if (nan16) {
      EXPECT_TRUE(std::isnan(f16_to_f32(bits)));
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(f16_to_f32(bits)))));
    } else {
      EXPECT_EQ(f32_to_f16(f16_to_f32(bits)), bits);
    }
    if (nanb) {
      EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(bf16_to_f32(bits)))));
    } else {
      EXPECT_EQ(f32_to_bf16(bf16_to_f32(bits)), bits);
    }
  }
}

TEST(StorageType, RoundsToTheNearestAndTiesToEven) {
  // Between each two neighbouring halves: just below the middle, the middle, just above.
  for (std::uint32_t i = 0; i < 0x7BFF; ++i) {
    const auto low = static_cast<std::uint16_t>(i);
    const auto high = static_cast<std::uint16_t>(i + 1);
    const float middle = static_cast<float>((double{f16_to_f32(low)} + f16_to_f32(high)) / 2);
    ASSERT_EQ(f32_to_f16(std::nextafter(middle, 0.0f)), low);
    ASSERT_EQ(f32_to_f16(middle), (low & 1) == 0 ? low : high);
    ASSERT_EQ(f32_to_f16(std::nextafter(middle, 1e9f)), high);
    ASSERT_EQ(f32_to_f16(-middle), 0x8000 | ((low & 1) == 0 ? low : high));
  }
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3F808000u)), 0x3F80);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3F818000u)), 0x3F82);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7F80);
}

// A file with this JSON as header and so many bytes of data.
std::string file_of(std::string json, std::size_t data) {
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(json.size() & 0xFF);
  bytes[1] = static_cast<char>(json.size() >> 8);
  return bytes + json + std::string(data, 'x');
}

std::string failure_of(const std::string& bytes) {
  try {
    const std::uint64_t length =
        safetensors_header_length(std::string_view(bytes).substr(0, 8), bytes.size(), "file.st");
    (void)parse_safetensors_header(std::string_view(bytes).substr(8, length), bytes.size(),
                                   "file.st");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    EXPECT_THAT(error.what(), HasSubstr("file.st"));
    return error.what();
  }
  return "accepted";
}

struct BadHeader {
  std::string json;
  std::size_t data;
  std::string message;
};

TEST(SafetensorsHeader, RefusesAndNamesWhatIsWrong) {
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  EXPECT_EQ(failure_of(file_of(good, 8)), "accepted");
  const std::vector<BadHeader> cases = {
      {good, 7, "outside the file"},
      {good, 9, "belong to no tensor"},
      {"", 0, "begin with {"},
      {"[]", 0, "begin with {"},
      {"{", 0, "not JSON"},
      {"{}x", 0, "not JSON"},
      {R"({"a":1})", 0, R"("a": a number where none belongs)"},
      {R"({"a":{}})", 0, "are needed"},
      {R"({"a":{"dtype":"F32","shape":[2]}})", 8, "are needed"},
      {R"({"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})", 8, R"(dtype "I64")"},
      {R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8, "twice"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})", 8, "unknown key"},
      {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8, "needs 12 bytes"},
      {R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8, "negative"},
      {R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8, "not whole"},
      {R"({"a":{"dtype":"F32","shape":[[2]],"data_offsets":[0,8]}})", 8, "array where none"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8, "backwards"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}})", 8, "two numbers"},
      {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,8]}})", 8,
       "overflows"},
      {R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]}})", 8,
       "overflows"},
      {R"({"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}})", 8,
       "not whole"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[18446744073709551608,18446744073709551615]}})",
       8, "outside the file"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
       R"("a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})",
       16, R"("a": it appears twice)"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
       R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
       12, R"("b": its bytes begin at 4)"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
       R"("b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]}})",
       20, R"("b": its bytes begin at 12)"},
      {R"({"__metadata__":{"a":{}}})", 0, "object where none"},
      {R"({"__metadata__":{"a":1}})", 0, "number where none"},
      {R"({"":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8, "without a name"},
      {"{\"\x1b[2J\":1}", 0, "not JSON"},
      {std::string(300, '[').insert(0, "{\"a\":"), 0, "array where none"},
  };
  for (const BadHeader& bad : cases) {
    EXPECT_THAT(failure_of(file_of(bad.json, bad.data)), HasSubstr(bad.message)) << bad.json;
  }
}

TEST(SafetensorsHeader, TerminalEscapesInNamesAreMadeVisible) {
  const std::string message = failure_of(file_of(R"({"\u001b[2J":{"dtype":"I8"}})", 0));
  EXPECT_THAT(message, HasSubstr("[2J"));
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
}

TEST(SafetensorsHeader, LengthBeyondTheFileIsRefusedBeforeReading) {
  std::string bytes = file_of("{}", 0);
  bytes[7] = '\x7f';
  EXPECT_THAT(failure_of(bytes), HasSubstr("does not fit"));
  EXPECT_THAT(failure_of("1234567"), HasSubstr("shorter"));
}

TEST_F(SafetensorsTest, EveryTruncationIsRefused) {
  const std::string whole = io::read_file(kGolden / "bf16.safetensors");
  for (std::size_t size = 0; size < whole.size(); size += size < 500 ? 1 : 97) {
    const fs::path path = folder_ / "cut.safetensors";
    std::ofstream(path, std::ios::binary) << whole.substr(0, size);
    EXPECT_THROW(SafetensorsFile{path}, Error) << size;
  }
}

TEST_F(SafetensorsTest, MissingFileAndFolder) {
  try {
    SafetensorsFile file(folder_ / "none.safetensors");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kMissingInput);
  }
  EXPECT_THROW(SafetensorsFile{folder_}, Error);
}

}  // namespace
}  // namespace nativo::model
