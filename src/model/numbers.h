// What a decoder's numbers are, and where it computes.
#pragma once

#include <string>
#include <string_view>

#include "tensor/device.h"
#include "tensor/dtype.h"

namespace nativo::model {

/// bf16 is a GPU's.
struct Numbers {
  tensor::DType type = tensor::DType::kF32;  ///< kF32 or kBf16
  tensor::Device device = {};
  bool fp8 = false;  ///< the layers' products have factors in FP8 (ops/fp8.h); with bf16 alone
  bool operator==(const Numbers&) const = default;
};

/// "cpu", "cuda" or "cuda:1"; "auto" (f32 on the CPU, bf16 on a GPU), "f32", "bf16" or "fp8" (bf16
/// with products in FP8). Throws Error(kConfig) for other names and for what is a GPU's on the CPU;
/// `table` ("train.") stands before the option's name in its message. The device need not exist.
[[nodiscard]] Numbers numbers_from_names(std::string_view table, const std::string& device,
                                         const std::string& precision);

/// "" for the CPU, else what results depend on: "bf16 on a GPU".
[[nodiscard]] std::string_view numbers_label(const Numbers& numbers);

}  // namespace nativo::model
