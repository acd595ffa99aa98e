// Conversions between element types, one element at a time; the compiler vectorises the loops.
#include "tensor/dtype.h"

#include <array>

#include "base/error.h"

namespace nativo::tensor {
namespace {

struct Entry {
  DType dtype;
  std::string_view name;
  std::size_t size;
};

constexpr std::array<Entry, 10> kTypes{{{DType::kF64, "F64", 8},
                                        {DType::kF32, "F32", 4},
                                        {DType::kF16, "F16", 2},
                                        {DType::kBf16, "BF16", 2},
                                        {DType::kI64, "I64", 8},
                                        {DType::kI32, "I32", 4},
                                        {DType::kI16, "I16", 2},
                                        {DType::kI8, "I8", 1},
                                        {DType::kU8, "U8", 1},
                                        {DType::kBool, "BOOL", 1}}};

const Entry& entry(DType dtype) {
  for (const Entry& type : kTypes) {
    if (type.dtype == dtype) return type;
  }
  NATIVO_CHECK(false, "unknown dtype");
  return kTypes[0];
}

}  // namespace

std::size_t dtype_size(DType dtype) { return entry(dtype).size; }

std::string_view dtype_name(DType dtype) { return entry(dtype).name; }

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const Entry& type : kTypes) {
    if (type.name == name) return type.dtype;
  }
  return std::nullopt;
}

float f16_to_f32(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1FU;
  const std::uint32_t fraction = bits & 0x3FFU;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000U | (fraction << 13));
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1.0p-24F;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
}

std::uint16_t f32_to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return static_cast<std::uint16_t>(sign | 0x7E00U);
  if (magnitude >= 0x477FF000U) return static_cast<std::uint16_t>(sign | 0x7C00U);
  if (magnitude < 0x38800000U) {
    // Adding 0.5 leaves the subnormal's fraction, rounded to even, in the low bits of the sum.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000U));
  }
  const std::uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13) & 1U);
  return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000U) >> 13));
}

void bf16_to_f32(std::span<const std::uint16_t> from, std::span<float> to) {
  NATIVO_CHECK(from.size() == to.size(), "conversion between different sizes");
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = bf16_to_f32(from[i]);
}

void f32_to_bf16(std::span<const float> from, std::span<std::uint16_t> to) {
  NATIVO_CHECK(from.size() == to.size(), "conversion between different sizes");
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = f32_to_bf16(from[i]);
}

void f16_to_f32(std::span<const std::uint16_t> from, std::span<float> to) {
  NATIVO_CHECK(from.size() == to.size(), "conversion between different sizes");
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = f16_to_f32(from[i]);
}

void f32_to_f16(std::span<const float> from, std::span<std::uint16_t> to) {
  NATIVO_CHECK(from.size() == to.size(), "conversion between different sizes");
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = f32_to_f16(from[i]);
}

}  // namespace nativo::tensor
