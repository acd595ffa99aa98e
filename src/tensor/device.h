// Where memory lies and arithmetic happens: the processor, or a GPU. Not here: memory itself
// (tensor/arena.h, tensor/device_memory.h). Rule: a device is a name; it need not exist.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nativo::tensor {

enum class DeviceKind : std::uint8_t { kCpu, kCuda };

/// The CPU unless said otherwise.
struct Device {
  DeviceKind kind = DeviceKind::kCpu;
  std::int16_t index = 0;  ///< of a GPU, as the CUDA runtime numbers them; 0 for the CPU

  [[nodiscard]] static constexpr Device cpu() { return {}; }
  [[nodiscard]] static constexpr Device cuda(int index) {
    return {DeviceKind::kCuda, static_cast<std::int16_t>(index)};
  }
  [[nodiscard]] constexpr bool is_cuda() const { return kind == DeviceKind::kCuda; }
  constexpr bool operator==(const Device&) const = default;
};

/// "cpu", "cuda:0".
[[nodiscard]] std::string device_name(const Device& device);

/// The inverse; "cuda" is cuda:0. None for anything else.
[[nodiscard]] std::optional<Device> device_from_name(std::string_view name);

}  // namespace nativo::tensor
