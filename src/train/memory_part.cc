#include "train/memory_part.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "train/checkpoint_files.h"

namespace nativo::train {
namespace {

constexpr std::string_view kMagic = "NTVMEM01";
constexpr std::size_t kPrefix = 32;
constexpr std::size_t kPage = 4096;
constexpr std::uint64_t kVersion = 1;

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

[[noreturn]] void bad(std::string_view where, std::string_view reason) {
  throw Error(ExitCode::kData, fmt::format("{}: {}", where, reason));
}

std::string head_of(const MemoryPart& part) {
  Json ranges = Json::array();
  for (const MemoryPart::Range& range : part.ranges) {
    ranges.push_back({range.file, range.begin, range.bytes, range.digest});
  }
  return dump_json({{"version", kVersion},
                    {"key", part.key},
                    {"run", part.run},
                    {"start", part.start},
                    {"step", part.step},
                    {"rank", part.rank},
                    {"ranks", part.ranks},
                    {"state", part.state},
                    {"files", part.files},
                    {"ranges", ranges}});
}

std::size_t payload_at(std::size_t head) { return (kPrefix + head + kPage - 1) / kPage * kPage; }

std::size_t payload_bytes(const MemoryPart& part) {
  std::size_t bytes = 0;
  for (const MemoryPart::Range& range : part.ranges) bytes += range.bytes;
  return bytes;
}

void write_head(std::string_view head, std::span<std::byte> file) {
  const std::array<std::uint64_t, 3> numbers{head.size(), xxh64(head), payload_at(head.size())};
  std::memcpy(file.data(), kMagic.data(), kMagic.size());
  std::memcpy(file.data() + kMagic.size(), numbers.data(), sizeof(numbers));
  std::memcpy(file.data() + kPrefix, head.data(), head.size());
}

std::array<std::uint64_t, 3> numbers_at(std::span<const std::byte> file) {
  std::array<std::uint64_t, 3> numbers{};
  std::memcpy(numbers.data(), file.data() + kMagic.size(), sizeof(numbers));
  return numbers;
}

std::uint64_t number(const Json& json, std::string_view where) {
  if (!json.is_number_unsigned()) bad(where, "its head has something else where a number belongs");
  return json.get<std::uint64_t>();
}

MemoryPart part_from_json(const Json& json, std::string_view where) {
  if (number(json.at("version"), where) != kVersion) bad(where, "is of another version");
  const auto signed_number = [&](const char* key) {
    return static_cast<std::int64_t>(number(json.at(key), where) & INT64_MAX);
  };
  MemoryPart part;
  json.at("key").get_to(part.key);
  json.at("run").get_to(part.run);
  part.start = signed_number("start");
  part.step = signed_number("step");
  part.rank = signed_number("rank");
  part.ranks = signed_number("ranks");
  json.at("state").get_to(part.state);
  for (const auto& [name, bytes] : json.at("files").items()) {
    part.files[name] = number(bytes, where);
  }
  for (const Json& entry : json.at("ranges")) {
    part.ranges.push_back({entry.at(0).get<std::string>(), number(entry.at(1), where),
                           number(entry.at(2), where), entry.at(3).get<std::string>()});
  }
  return part;
}

}  // namespace

std::size_t memory_part_head(const MemoryPart& part) { return payload_at(head_of(part).size()); }

std::size_t memory_part_bytes(const MemoryPart& part) {
  return memory_part_head(part) + payload_bytes(part);
}

void seal_memory_part(MemoryPart& part, std::span<std::byte> file) {
  std::size_t at = memory_part_head(part);
  for (MemoryPart::Range& range : part.ranges) {
    range.digest = xxh128_hex(text_of(file.subspan(at, range.bytes)));
    at += range.bytes;
  }
  write_head(head_of(part), file);
}

std::vector<std::byte> memory_part_with_head(std::string_view head,
                                             std::span<const std::byte> ranges) {
  std::vector<std::byte> file(payload_at(head.size()) + ranges.size());
  write_head(head, file);
  std::ranges::copy(ranges, file.end() - static_cast<std::ptrdiff_t>(ranges.size()));
  return file;
}

MemoryPart read_memory_part(std::span<const std::byte> file, std::string_view where) {
  if (file.size() < kPrefix || text_of(file.first(kMagic.size())) != kMagic) {
    bad(where, "is no part of a training's state");
  }
  const auto [head_bytes, digest, payload] = numbers_at(file);
  if (head_bytes > file.size() - kPrefix || payload != payload_at(head_bytes) ||
      payload > file.size()) {
    bad(where, "its head is longer than the file");
  }
  const std::string_view head = text_of(file.subspan(kPrefix, head_bytes));
  if (xxh64(head) != digest) bad(where, "its head has not the digest that it should have");
  MemoryPart part;
  try {
    part = part_from_json(parse_json(std::string(head), std::string(where)), where);
  } catch (const nlohmann::json::exception& error) {
    bad(where, fmt::format("its head is none: {}", error.what()));
  }
  if (part.rank >= part.ranks) bad(where, "its head names no rank");
  std::size_t rest = file.size() - payload;
  for (const MemoryPart::Range& range : part.ranges) {
    const auto found = part.files.find(range.file);
    if (!is_checkpoint_file(range.file))
      bad(where, "a range is of a file that is none of a checkpoint's");
    if (found == part.files.end() || range.bytes > found->second ||
        range.begin > found->second - range.bytes) {
      bad(where, "a range is not in its file");
    }
    if (range.bytes > rest) bad(where, "it has fewer bytes than its ranges");
    rest -= range.bytes;
  }
  if (rest > 0) bad(where, "it has more bytes than its ranges");
  return part;
}

std::vector<CheckpointRange> verified_ranges(const MemoryPart& part,
                                             std::span<const std::byte> file,
                                             std::string_view where) {
  std::vector<CheckpointRange> ranges;
  std::size_t at = static_cast<std::size_t>(numbers_at(file)[2]);
  for (const MemoryPart::Range& range : part.ranges) {
    const auto bytes = file.subspan(at, range.bytes);
    if (xxh128_hex(text_of(bytes)) != range.digest) {
      bad(where, fmt::format("bytes {} to {} of {} have not the digest that they should have",
                             range.begin, range.begin + range.bytes, range.file));
    }
    ranges.push_back({range.file, range.begin, bytes, true});
    at += range.bytes;
  }
  return ranges;
}

}  // namespace nativo::train
