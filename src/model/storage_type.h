// How numbers lie on disk, and the conversion of weights to and from the f32 that we compute in.
// Not here: files (safetensors.h). Rule: narrowing rounds to nearest, ties to even.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "tensor/dtype.h"

namespace nativo::model {

/// IEEE 754 binary32 and binary16, and bfloat16 (the upper half of a binary32), little-endian; and
/// codes of 8 bits, signed or not, which are no weights: what they mean their reader knows.
enum class StorageType { kF32, kF16, kBf16, kI8, kU8 };

/// 4, 2 or 1.
[[nodiscard]] std::size_t bytes_of(StorageType type);

/// True of all but kI8 and kU8.
[[nodiscard]] bool is_floating_point(StorageType type);

/// "F32", "F16", "BF16", "I8", "U8", as safetensors headers write it.
[[nodiscard]] std::string_view safetensors_name(StorageType type);
/// "float32", "float16", "bfloat16", as config.json's `torch_dtype` writes it, "int8", "uint8".
[[nodiscard]] std::string_view torch_name(StorageType type);

/// The inverse of safetensors_name; nothing for any other name.
[[nodiscard]] std::optional<StorageType> storage_type_from_safetensors(std::string_view name);
/// From our options: "f32", "f16", "bf16"; nothing for any other name.
[[nodiscard]] std::optional<StorageType> storage_type_from_option(std::string_view name);

// The conversions are tensor/dtype.h's.
using tensor::bf16_to_f32;
using tensor::f16_to_f32;
using tensor::f32_to_bf16;
using tensor::f32_to_f16;

// In these two `type` is a floating-point one.
/// Widens `bytes` (values.size() * bytes_of(type) of them, any alignment) into `values`.
void decode_values(StorageType type, std::span<const std::byte> bytes, std::span<float> values);
/// Narrows `values` into `bytes` (values.size() * bytes_of(type) of them, any alignment).
void encode_values(StorageType type, std::span<const float> values, std::span<std::byte> bytes);

}  // namespace nativo::model
