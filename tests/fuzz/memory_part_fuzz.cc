// layers: train
// A part of a training's state in memory: read whole, or an Error, nothing else.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "train/memory_part.h"

namespace {

using namespace nativo;

void read(std::span<const std::byte> file) {
  try {
    const train::MemoryPart part = train::read_memory_part(file, "part");
    std::size_t bytes = 0;
    for (const train::CheckpointRange& range : train::verified_ranges(part, file, "part")) {
      bytes += range.bytes.size();
    }
    if (bytes > file.size()) __builtin_trap();
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::byte> file(reinterpret_cast<const std::byte*>(data),
                                    reinterpret_cast<const std::byte*>(data) + size);
  read(file);
  // Behind a head whose digest is right.
  train::MemoryPart part{.ranks = 1, .files = {{"model.safetensors", size}}, .ranges = {}};
  part.ranges.push_back({"model.safetensors", 0, size});
  std::vector<std::byte> whole(train::memory_part_bytes(part));
  std::copy(file.begin(), file.end(), whole.end() - static_cast<std::ptrdiff_t>(size));
  train::seal_memory_part(part, whole);
  read(whole);
  if (size > 2) {
    whole[(data[0] * 256U + data[1]) % whole.size()] ^= std::byte{data[2]};
    read(whole);
  }
  return 0;
}
