// Element types: their sizes, names and the conversions between floating-point formats.
// Not here: memory (tensor/arena.h) or arithmetic (ops/). Rule: narrowing rounds to nearest, ties
// to even, and never turns a NaN into an infinity.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace nativo::tensor {

enum class DType : std::uint8_t { kF64, kF32, kF16, kBf16, kI64, kI32, kI16, kI8, kU8, kBool };

/// Bytes of one element.
[[nodiscard]] std::size_t dtype_size(DType dtype);

/// The name in safetensors headers: "F32", "BF16", "I64", ...
/// Source: huggingface.co/docs/safetensors, "Format".
[[nodiscard]] std::string_view dtype_name(DType dtype);

/// The inverse of dtype_name; none for an unknown name.
[[nodiscard]] std::optional<DType> dtype_from_name(std::string_view name);

/// bfloat16 is the upper half of an IEEE binary32.
[[nodiscard]] constexpr float bf16_to_f32(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

[[nodiscard]] constexpr std::uint16_t f32_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

/// IEEE 754 binary16, subnormals included.
[[nodiscard]] float f16_to_f32(std::uint16_t bits);
[[nodiscard]] std::uint16_t f32_to_f16(float value);

/// Whole arrays; sizes must be equal.
void bf16_to_f32(std::span<const std::uint16_t> from, std::span<float> to);
void f32_to_bf16(std::span<const float> from, std::span<std::uint16_t> to);
void f16_to_f32(std::span<const std::uint16_t> from, std::span<float> to);
void f32_to_f16(std::span<const float> from, std::span<std::uint16_t> to);

}  // namespace nativo::tensor
