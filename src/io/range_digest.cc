#include "io/range_digest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <string>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"

namespace nativo::io {
namespace {

[[noreturn]] void bad(std::string_view where, const std::string& reason) {
  throw Error(ExitCode::kData, fmt::format("{}: {}", where, reason));
}

}  // namespace

Json to_json(std::vector<RangeDigest> ranges) {
  std::ranges::sort(ranges, {}, &RangeDigest::begin);
  Json json = Json::array();
  for (const RangeDigest& range : ranges) json.push_back({range.begin, range.end, range.sha256});
  return json;
}

std::vector<RangeDigest> ranges_from_json(const Json& json, std::string_view where) {
  if (!json.is_array()) bad(where, "its ranges are no list");
  std::vector<RangeDigest> ranges;
  std::uint64_t next = 0;
  for (const Json& entry : json) {
    if (!entry.is_array() || entry.size() != 3 || !entry[0].is_number_unsigned() ||
        !entry[1].is_number_unsigned() || !entry[2].is_string()) {
      bad(where, "a range is [begin, end, \"sha256\"]");
    }
    RangeDigest& range = ranges.emplace_back();
    range.begin = entry[0].get<std::uint64_t>();
    range.end = entry[1].get<std::uint64_t>();
    range.sha256 = entry[2].get<std::string>();
    if (range.begin != next || range.end <= range.begin) {
      bad(where, fmt::format("its ranges do not follow each other at byte {}", next));
    }
    next = range.end;
  }
  return ranges;
}

void check_ranges(const std::filesystem::path& path, const std::vector<RangeDigest>& ranges,
                  Turns& turns) {
  constexpr std::size_t kBuffer = std::size_t{1} << 20;
  const std::string where = printable(path.string());
  std::ifstream file(path, std::ios::binary);
  if (!file) throw errno_error(errno, "open", path.native());
  std::string buffer(kBuffer, '\0');
  for (const RangeDigest& range : ranges) {
    if (!turns.is_mine()) {
      file.seekg(static_cast<std::streamoff>(range.end));
      continue;
    }
    Sha256 digest;
    for (std::uint64_t left = range.end - range.begin; left > 0;) {
      const auto want = static_cast<std::streamsize>(std::min<std::uint64_t>(left, kBuffer));
      file.read(buffer.data(), want);
      if (file.gcount() != want) bad(where, "it is shorter than its manifest says");
      digest.update({buffer.data(), static_cast<std::size_t>(want)});
      left -= static_cast<std::uint64_t>(want);
    }
    if (digest.hex() != range.sha256) {
      bad(where,
          fmt::format("bytes {} to {} do not have the manifest's SHA-256", range.begin, range.end));
    }
  }
  if (file.peek() != std::ifstream::traits_type::eof()) {
    bad(where, "it is longer than its manifest says");
  }
}

}  // namespace nativo::io
