// The header of a safetensors file: which tensors it holds, of what type and shape, and where.
// Not here: the tensors' bytes (safetensors.h). Rule: the header is hostile until every number in
// it has been checked against the file's size; nothing of a tensor's size is allocated before that.
// Format: https://github.com/huggingface/safetensors#format
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/storage_type.h"

namespace nativo::model {

/// Larger headers are refused, as in the format's own library.
inline constexpr std::uint64_t kMaxSafetensorsHeader = 100'000'000;

/// One tensor of a file, row-major.
struct TensorEntry {
  std::string name;
  StorageType type = StorageType::kF32;
  std::vector<std::int64_t> shape;  ///< [] is a single value; a 0 makes the tensor empty
  std::int64_t elements = 0;        ///< the product of the shape
  std::uint64_t offset = 0;         ///< of its first byte, from the start of the file
  std::uint64_t bytes = 0;          ///< elements * bytes_of(type)
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;  ///< in the order of their bytes; they fill the file, gapless
  std::vector<std::pair<std::string, std::string>> metadata;
};

/// Reads the length of the header from a file's first 8 bytes (fewer are an error) and checks it
/// against `file_size`. Throws Error(kData) naming `where`.
[[nodiscard]] std::uint64_t safetensors_header_length(std::string_view first_bytes,
                                                      std::uint64_t file_size,
                                                      std::string_view where);

/// Parses and checks the JSON that follows the length. Throws Error(kData) naming `where` and the
/// tensor when: the JSON is not of the format's form; a key appears twice; a type is not F32, F16,
/// BF16, I8 or U8; a shape's product overflows; offsets leave the file, overlap or leave a hole; or
/// a size is not shape times type.
[[nodiscard]] SafetensorsHeader parse_safetensors_header(std::string_view json,
                                                         std::uint64_t file_size,
                                                         std::string_view where);

/// "[2, 3]".
[[nodiscard]] std::string shape_text(const std::vector<std::int64_t>& shape);

}  // namespace nativo::model
