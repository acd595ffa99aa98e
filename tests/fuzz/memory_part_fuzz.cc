// layers: train
// A part of a training's state in memory: read whole, or an Error, nothing else. The input is a
// file, and then a head, up to the first NUL, with the ranges' bytes behind it: their digest is
// made right. A good corpus: tests/data/memory_part_heads/*.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"
#include "train/memory_part.h"

namespace {

using namespace nativo;

void read(std::span<const std::byte> file) {
  try {
    const train::MemoryPart part = train::read_memory_part(file, "part");
    std::size_t bytes = 0;
    for (const train::MemoryPart::Range& range : part.ranges) {
      bytes += range.bytes;
      const auto whole = part.files.find(range.file);
      if (whole == part.files.end() || range.begin + range.bytes > whole->second) __builtin_trap();
    }
    if (bytes > file.size() || part.rank < 0 || part.rank >= part.ranks) __builtin_trap();
    static_cast<void>(train::verified_ranges(part, file, "part"));
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span file(reinterpret_cast<const std::byte*>(data), size);
  read(file);
  const auto end = static_cast<std::size_t>(std::find(data, data + size, 0) - data);
  const std::string_view head(reinterpret_cast<const char*>(data), end);
  read(train::memory_part_with_head(head, file.subspan(std::min(end + 1, size))));
  return 0;
}
