#include "model/storage_type.h"

#include <bit>
#include <cstring>

#include "base/error.h"

namespace nativo::model {
namespace {

static_assert(std::endian::native == std::endian::little, "weights are copied as they lie");

// Runs body(i) over all values on all threads; each writes its own value only.
template <class Body>
void for_each_value(std::size_t count, const Body& body) {
#pragma omp parallel for schedule(static) if (count > 65536)
  for (std::size_t i = 0; i < count; ++i) body(i);
}

}  // namespace

std::size_t bytes_of(StorageType type) { return type == StorageType::kF32 ? 4 : 2; }

std::string_view safetensors_name(StorageType type) {
  switch (type) {
    case StorageType::kF32:
      return "F32";
    case StorageType::kF16:
      return "F16";
    case StorageType::kBf16:
      break;
  }
  return "BF16";
}

std::string_view torch_name(StorageType type) {
  switch (type) {
    case StorageType::kF32:
      return "float32";
    case StorageType::kF16:
      return "float16";
    case StorageType::kBf16:
      break;
  }
  return "bfloat16";
}

std::optional<StorageType> storage_type_from_safetensors(std::string_view name) {
  if (name == "F32") return StorageType::kF32;
  if (name == "F16") return StorageType::kF16;
  if (name == "BF16") return StorageType::kBf16;
  return std::nullopt;
}

std::optional<StorageType> storage_type_from_option(std::string_view name) {
  if (name == "f32") return StorageType::kF32;
  if (name == "f16") return StorageType::kF16;
  if (name == "bf16") return StorageType::kBf16;
  return std::nullopt;
}

std::uint16_t f32_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) {
    return static_cast<std::uint16_t>((bits >> 16) | 0x0040u);  // quiet, so that it stays NaN
  }
  return static_cast<std::uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

float bf16_to_f32(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

std::uint16_t f32_to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) {
    return static_cast<std::uint16_t>(sign | 0x7E00u | ((magnitude >> 13) & 0x1FFu));
  }
  if (magnitude >= 0x47800000u) return static_cast<std::uint16_t>(sign | 0x7C00u);  // >= 65536
  if (magnitude >= 0x38800000u) {  // normal: >= 2^-14
    const std::uint32_t rebased = magnitude - 0x38000000u;
    return static_cast<std::uint16_t>(sign | ((rebased + 0xFFFu + ((rebased >> 13) & 1u)) >> 13));
  }
  if (magnitude <= 0x33000000u) return static_cast<std::uint16_t>(sign);  // <= 2^-25: ties to 0
  const std::uint32_t shift = 126 - (magnitude >> 23);                    // 14 .. 24
  const std::uint32_t mantissa = (magnitude & 0x7FFFFFu) | 0x800000u;
  const std::uint32_t half = 1u << (shift - 1);
  return static_cast<std::uint16_t>(sign |
                                    ((mantissa + half - 1 + ((mantissa >> shift) & 1u)) >> shift));
}

float f16_to_f32(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1Fu;
  const std::uint32_t mantissa = bits & 0x3FFu;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000u | (mantissa << 13));
  if (exponent != 0) {
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  }
  const float value = static_cast<float>(mantissa) * 0x1.0p-24f;
  return sign != 0 ? -value : value;
}

void decode_values(StorageType type, std::span<const std::byte> bytes, std::span<float> values) {
  NATIVO_CHECK(bytes.size() == values.size() * bytes_of(type), "sizes differ");
  if (values.empty()) return;
  if (type == StorageType::kF32) {
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return;
  }
  for_each_value(values.size(), [&](std::size_t i) {
    std::uint16_t half;
    std::memcpy(&half, bytes.data() + 2 * i, 2);
    values[i] = type == StorageType::kF16 ? f16_to_f32(half) : bf16_to_f32(half);
  });
}

void encode_values(StorageType type, std::span<const float> values, std::span<std::byte> bytes) {
  NATIVO_CHECK(bytes.size() == values.size() * bytes_of(type), "sizes differ");
  if (values.empty()) return;
  if (type == StorageType::kF32) {
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return;
  }
  for_each_value(values.size(), [&](std::size_t i) {
    const std::uint16_t half =
        type == StorageType::kF16 ? f32_to_f16(values[i]) : f32_to_bf16(values[i]);
    std::memcpy(bytes.data() + 2 * i, &half, 2);
  });
}

}  // namespace nativo::model
