// Matrix products for the emulated device, in place of cuBLASLt: the formula of ops/cuda/ops.h.
#include <cuda_runtime_api.h>

#include "ops/cuda/ops.h"
#include "tensor/device_memory.h"

namespace nativo::ops::cuda {
namespace {

float value_of(float x) { return x; }
float value_of(tensor::bf16 x) { return tensor::to_f32(x); }
void assign(float& to, float x) { to = x; }
void assign(tensor::bf16& to, float x) { to = tensor::to_bf16(x); }

template <class T>
void multiply(const Gemm<T>& of) {
  for (std::int64_t i = 0; i < of.m; ++i) {
    for (std::int64_t j = 0; j < of.n; ++j) {
      double sum = 0.0;
      for (std::int64_t p = 0; p < of.k; ++p) {
        const T a = of.transpose_a == 'T' ? of.a[p * of.lda + i] : of.a[i * of.lda + p];
        const T b = of.transpose_b == 'T' ? of.b[j * of.ldb + p] : of.b[p * of.ldb + j];
        sum += static_cast<double>(value_of(a)) * static_cast<double>(value_of(b));
      }
      float total = of.alpha * static_cast<float>(sum);
      if (of.bias != nullptr) total += value_of(of.bias[j]);
      T& c = of.c[i * of.ldc + j];
      if (of.beta != 0.0F) total += of.beta * value_of(c);
      assign(c, total);
    }
  }
}
void multiply(const Fp8Gemm& of) {
  for (std::int64_t i = 0; i < of.m; ++i) {
    for (std::int64_t j = 0; j < of.n; ++j) {
      double sum = 0.0;
      for (std::int64_t p = 0; p < of.k; ++p) {
        sum += static_cast<double>(from_fp8(of.a.codes[i * of.k + p], of.a.format)) *
               static_cast<double>(from_fp8(of.b.codes[j * of.k + p], of.b.format));
      }
      float total = static_cast<float>(sum) * *of.a.scale * *of.b.scale;
      tensor::bf16& c = of.c[i * of.n + j];
      if (of.accumulates) total += value_of(c);
      assign(c, total);
    }
  }
}

}  // namespace

template <class T>
void gemm(const tensor::Device& device, const Gemm<T>& of) {
  emulation::run_in(tensor::compute_stream(device), [of] { multiply(of); });
}
void gemm(const tensor::Device& device, const Fp8Gemm& of) {
  emulation::run_in(tensor::compute_stream(device), [of] { multiply(of); });
}

template void gemm<float>(const tensor::Device&, const Gemm<float>&);
template void gemm<tensor::bf16>(const tensor::Device&, const Gemm<tensor::bf16>&);

}  // namespace nativo::ops::cuda
