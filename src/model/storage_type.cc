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

struct Facts {
  std::size_t bytes;
  std::string_view safetensors;
  std::string_view torch;
};

Facts facts_of(StorageType type) {
  switch (type) {
    case StorageType::kF32:
      return {4, "F32", "float32"};
    case StorageType::kF16:
      return {2, "F16", "float16"};
    case StorageType::kBf16:
      return {2, "BF16", "bfloat16"};
    case StorageType::kI8:
      return {1, "I8", "int8"};
    case StorageType::kU8:
      break;
  }
  return {1, "U8", "uint8"};
}

}  // namespace

std::size_t bytes_of(StorageType type) { return facts_of(type).bytes; }
std::string_view safetensors_name(StorageType type) { return facts_of(type).safetensors; }
std::string_view torch_name(StorageType type) { return facts_of(type).torch; }

bool is_floating_point(StorageType type) {
  return type != StorageType::kI8 && type != StorageType::kU8;
}

std::optional<StorageType> storage_type_from_safetensors(std::string_view name) {
  for (const StorageType type : {StorageType::kF32, StorageType::kF16, StorageType::kBf16,
                                 StorageType::kI8, StorageType::kU8}) {
    if (name == safetensors_name(type)) return type;
  }
  return std::nullopt;
}

std::optional<StorageType> storage_type_from_option(std::string_view name) {
  if (name == "f32") return StorageType::kF32;
  if (name == "f16") return StorageType::kF16;
  if (name == "bf16") return StorageType::kBf16;
  return std::nullopt;
}

void decode_values(StorageType type, std::span<const std::byte> bytes, std::span<float> values) {
  NATIVO_CHECK(is_floating_point(type), "a type of weights");
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
  NATIVO_CHECK(is_floating_point(type), "a type of weights");
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
