// One test for every device and element type: which there are here, memory on them, bounds.
// A test takes f64 numbers, gives them to `On`, and compares what comes back with the reference.
#pragma once

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "ops/ops_test_tools.h"
#include "tensor/bf16.h"
#include "tensor/device_memory.h"

namespace nativo::ops {

using tensor::bf16;
using tensor::Device;

/// A device and what it computes in.
struct Arithmetic {
  Device device;
  bool is_bf16 = false;
};

inline std::string arithmetic_name(const testing::TestParamInfo<Arithmetic>& info) {
  return std::string(info.param.device.is_cuda() ? "gpu" : "cpu") +
         (info.param.is_bf16 ? "_bf16" : "_f32");
}

/// f32 on the CPU, and both on a GPU where there is one (tests/ops/gpu_test.cc says when not).
inline std::vector<Arithmetic> arithmetics() {
  std::vector<Arithmetic> all{{Device::cpu(), false}};
  if (tensor::gpu_count() > 0) {
    all.push_back({Device::cuda(0), false});
    all.push_back({Device::cuda(0), true});
  }
  return all;
}

class OnEveryDevice : public testing::TestWithParam<Arithmetic> {
 protected:
  [[nodiscard]] const Device& device() const { return GetParam().device; }
  /// The bound on a relative error: a result is rounded once, to 24 bits or to 8 (at most 2^-9 of
  /// it), from inputs that the reference has, too.
  [[nodiscard]] double bound() const { return GetParam().is_bf16 ? 3e-3 : kF32Bound; }
  /// The same after an intermediate result that is rounded as well.
  [[nodiscard]] double twice() const { return 2 * bound(); }

  /// Calls body(T()) with the arithmetic's element type.
  template <class Body>
  void with_type(const Body& body) const {
    if (GetParam().is_bf16) {
      body(bf16{});
    } else {
      body(0.0F);
    }
  }
  /// Numbers that the arithmetic holds exactly.
  [[nodiscard]] std::vector<double> numbers(std::size_t count, std::uint64_t stream,
                                            double deviation = 1.0) const {
    auto all = normal_numbers(count, stream, deviation);
    if (GetParam().is_bf16) {
      for (double& x : all) x = tensor::to_f32(tensor::to_bf16(static_cast<float>(x)));
    }
    return all;
  }
};

template <class T, class U>
T element(U value) {
  if constexpr (std::is_same_v<T, bf16>) {
    return tensor::to_bf16(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}

inline double number(bf16 value) { return tensor::to_f32(value); }
template <class T>
double number(T value) {
  return static_cast<double>(value);
}

/// A tensor on a device.
template <class T>
class On {
 public:
  template <class U>
  On(const Device& device, const std::vector<U>& values, const Shape& shape)
      : device_(device), shape_(shape) {
    for (const U& value : values) host_.push_back(element<T>(value));
    NATIVO_CHECK(static_cast<std::int64_t>(host_.size()) == shape.elements(), "a test's shape");
    if (!device.is_cuda()) return;
    memory_ = tensor::DeviceMemory(device, host_.size() * sizeof(T), "a test");
    tensor::copy(View<T>(host_.data(), shape_), view());
  }
  /// Filled with 9, which an op must overwrite.
  On(const Device& device, const Shape& shape)
      : On(device, std::vector<float>(static_cast<std::size_t>(shape.elements()), 9.0F), shape) {}

  [[nodiscard]] View<T> view() {
    return device_.is_cuda() ? View<T>(reinterpret_cast<T*>(memory_.data()), shape_, device_)
                             : View<T>(host_.data(), shape_);
  }
  [[nodiscard]] View<const T> read() { return view(); }
  [[nodiscard]] std::span<T> span() { return view().span(); }

  /// What it holds now.
  [[nodiscard]] std::vector<T> get() {
    if (device_.is_cuda()) tensor::copy(view(), View<T>(host_.data(), shape_));
    return host_;
  }
  [[nodiscard]] std::vector<double> get_numbers() {
    std::vector<double> all;
    for (const T& value : get()) all.push_back(number(value));
    return all;
  }

 private:
  Device device_;
  Shape shape_;
  std::vector<T> host_;
  tensor::DeviceMemory memory_;
};

}  // namespace nativo::ops
