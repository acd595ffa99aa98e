// Heads of parts in memory: the good one, and what is wrong with others whose digest is right.
#include "train/memory_part.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "io/file.h"

namespace nativo::train {
namespace {

using ::testing::HasSubstr;

/// The seed of the fuzz target: a head, NUL, and the bytes of its ranges.
std::string seed() {
  return io::read_file(std::string(NATIVO_TEST_DATA) + "/memory_part_heads/good");
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// "" when the file is read whole.
std::string complaint(const std::string& head, std::string_view ranges) {
  try {
    const std::vector<std::byte> file = memory_part_with_head(head, bytes_of(ranges));
    static_cast<void>(verified_ranges(read_memory_part(file, "part"), file, "part"));
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    return error.what();
  }
}

TEST(MemoryPart, TheSeedIsGoodAndWhatItIsWrittenFrom) {
  const std::string text = seed();
  const std::string head = text.substr(0, text.find('\0'));
  const std::string ranges = text.substr(head.size() + 1);
  EXPECT_EQ(complaint(head, ranges), "");
  const std::vector<std::byte> file = memory_part_with_head(head, bytes_of(ranges));
  MemoryPart part = read_memory_part(file, "part");
  EXPECT_EQ(part.ranges.size(), 3U);
  std::vector<std::byte> again(memory_part_bytes(part));
  std::ranges::copy(bytes_of(ranges), again.end() - static_cast<std::ptrdiff_t>(ranges.size()));
  seal_memory_part(part, again);
  EXPECT_TRUE(again == file);
}

TEST(MemoryPart, WhatIsWrongInAHeadIsSaid) {
  const std::string text = seed();
  const Json good = parse_json(text.substr(0, text.find('\0')), "good");
  const std::string ranges = text.substr(text.find('\0') + 1);
  struct Case {
    const char* pointer;  ///< what is replaced
    const char* value;
    const char* words;
  };
  const Case cases[] = {
      {"/version", "2", "is of another version"},
      {"/version", "\"1\"", "something else where a number belongs"},
      {"/version", "-1", "something else where a number belongs"},
      {"/key", "7", "its head is none"},
      {"/rank", "2", "its head names no rank"},
      {"/ranks", "0", "its head names no rank"},
      {"/rank", "18446744073709551615", "its head names no rank"},
      {"/files/model.safetensors", "5", "a range is not in its file"},
      {"/files/model.safetensors", "1.5", "something else where a number belongs"},
      {"/files", "[]", "a range is not in its file"},
      {"/ranges", "[]", "it has more bytes than its ranges"},
      {"/ranges", "7", "its head is none"},
      {"/ranges/0", "[\"model.safetensors\", 0]", "its head is none"},
      {"/ranges/0/0", "\"../model.safetensors\"", "none of a checkpoint's"},
      {"/ranges/0/1", "18446744073709551615", "a range is not in its file"},
      {"/ranges/1/1", "13", "a range is not in its file"},
      {"/ranges/0/2", "18446744073709551615", "a range is not in its file"},
      {"/ranges/0/2", "5", "it has fewer bytes than its ranges"},
      {"/ranges/0/2", "3", "it has more bytes than its ranges"},
      {"/ranges/2/3", "\"\"", "have not the digest"},
  };
  for (const Case& is : cases) {
    Json json = good;
    json[Json::json_pointer(is.pointer)] = parse_json(is.value, "value");
    EXPECT_THAT(complaint(dump_json(json), ranges), HasSubstr(is.words))
        << is.pointer << " " << is.value;
  }
  for (const char* head : {"", "7", "[]", "{}", "{"}) {
    EXPECT_THAT(complaint(head, ranges), HasSubstr("part")) << head;
  }
}

}  // namespace
}  // namespace nativo::train
