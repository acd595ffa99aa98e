// Digests of a file that several processes have written together: one of each range of its bytes.
// Rule: the ranges cover the file without a gap, so that every byte is vouched for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace nativo::io {

/// Bytes begin .. end - 1.
struct RangeDigest {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::string sha256;  ///< lower-case hex
  bool operator==(const RangeDigest&) const = default;
};

/// [[begin, end, "sha256"], ...], ascending.
[[nodiscard]] Json to_json(std::vector<RangeDigest> ranges);

/// The inverse. Throws Error(kData), beginning with `where`, when they are no ranges, or do not
/// cover the bytes from 0 on without gap and overlap.
[[nodiscard]] std::vector<RangeDigest> ranges_from_json(const Json& json, std::string_view where);

/// Throws Error(kData) when the file ends elsewhere than the last range or the bytes of one do not
/// have its digest, and Error(kMissingInput | kIo) when it cannot be read.
void check_ranges(const std::filesystem::path& path, const std::vector<RangeDigest>& ranges);

}  // namespace nativo::io
