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

/// Shares out work that several processes all have before them in the same order.
class Turns {
 public:
  Turns() = default;  ///< one process: all is its own
  Turns(int process, int processes) : process_(process), processes_(processes) {}
  /// Of the next piece of work.
  [[nodiscard]] bool is_mine() { return next_++ % processes_ == process_; }

 private:
  int process_ = 0;
  int processes_ = 1;
  int next_ = 0;
};

/// Throws Error(kData) when the file ends elsewhere than the last range or the bytes of one do not
/// have its digest, and Error(kMissingInput | kIo) when it cannot be read. `turns`: a range is a
/// piece of work.
void check_ranges(const std::filesystem::path& path, const std::vector<RangeDigest>& ranges,
                  Turns& turns);
inline void check_ranges(const std::filesystem::path& path,
                         const std::vector<RangeDigest>& ranges) {
  Turns all;
  check_ranges(path, ranges, all);
}

}  // namespace nativo::io
