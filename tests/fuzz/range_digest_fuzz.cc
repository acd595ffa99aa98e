// layers: io
// Any text as the ranges of a manifest: refused with an Error, or they follow each other from 0.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "io/range_digest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nativo;
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto ranges = io::ranges_from_json(parse_json(text, "fuzz"), "fuzz");
    std::uint64_t next = 0;
    for (const io::RangeDigest& range : ranges) {
      if (range.begin != next || range.end <= range.begin) std::abort();
      next = range.end;
    }
    if (io::ranges_from_json(io::to_json(ranges), "fuzz") != ranges) std::abort();
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
