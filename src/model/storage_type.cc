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
