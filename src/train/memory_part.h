// A rank's part of a training's state as a file in memory: what a checkpoint would have of it, with
// digests, so that who finds it later can trust it.
// Not here: which parts there are, and where (neighbour_memory.h).
//
// "NTVMEM01", then three little-endian numbers of 8 bytes: the bytes of the head, its XXH3-64, and
// where the ranges begin; the head, which is JSON; from there on the ranges, one behind the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "train/checkpoint_parts.h"

namespace nativo::train {

struct MemoryPart {
  struct Range {
    std::string file;
    std::uint64_t begin = 0;  ///< in the file
    std::uint64_t bytes = 0;
    std::string digest = std::string(32, '0');  ///< XXH3-128, hex
  };

  std::string key;  ///< what is trained with what; see CheckpointStore
  std::string
      run;  ///< drawn at every start of the ranks and rollback: parts of two never go together
  std::int64_t start = 0;  ///< of the run (fence.h)
  std::int64_t step = 0;
  std::int64_t rank = 0;  ///< whose part it is
  std::int64_t ranks = 1;
  std::string state;                           ///< state.json
  std::map<std::string, std::uint64_t> files;  ///< bytes of each
  std::vector<Range> ranges;
};

/// Of the whole file with so much in it; digests do not change it.
[[nodiscard]] std::size_t memory_part_bytes(const MemoryPart& part);

/// Of a file of memory_part_bytes(), where its ranges begin.
[[nodiscard]] std::size_t memory_part_head(const MemoryPart& part);

/// Overwrites the digests of `part` with those of the ranges in `file`, and writes the head before
/// them.
void seal_memory_part(MemoryPart& part, std::span<std::byte> file);

/// The same with a head that is JSON of any kind, for tests of what reads it: a file of it and of
/// `ranges`, one behind the other.
[[nodiscard]] std::vector<std::byte> memory_part_with_head(std::string_view head,
                                                           std::span<const std::byte> ranges);

/// The head of a file. Throws Error(kData), beginning with `where`, when it is none, or of a size
/// that is not the head's. The ranges' bytes are not looked at.
[[nodiscard]] MemoryPart read_memory_part(std::span<const std::byte> file, std::string_view where);

/// The ranges of `file`, whose head `part` is. Throws Error(kData) when one has another digest.
[[nodiscard]] std::vector<CheckpointRange> verified_ranges(const MemoryPart& part,
                                                           std::span<const std::byte> file,
                                                           std::string_view where);

}  // namespace nativo::train
