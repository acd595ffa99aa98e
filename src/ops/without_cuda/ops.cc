// The GPU's half of the ops in a build that has none. No view of GPU memory can be made there
// (tensor/without_cuda), so nobody gets this far.
#include "ops/cuda/ops.h"

#include "base/error.h"

namespace nativo::ops::cuda {
namespace {

[[noreturn]] void absent() {
  throw Error(ExitCode::kConfig, "this nativo was built without CUDA",
              "build the preset cuda where nvcc is installed (docs/cuda.md)");
}

}  // namespace

using tensor::bf16;
using tensor::Device;

template <class T>
void gemm(const Device& /*device*/, const Gemm<T>& /*gemm*/) {
  absent();
}
template void gemm<float>(const Device&, const Gemm<float>&);
template void gemm<bf16>(const Device&, const Gemm<bf16>&);

void gemm(const Device& /*device*/, const Fp8Gemm& /*gemm*/) { absent(); }
void quantize_fp8(View<const bf16> /*x*/, bool /*transposed*/, float* /*largest*/,
                  const Fp8Factor& /*to*/) {
  absent();
}

void convert(View<const float> /*from*/, View<bf16> /*to*/) { absent(); }
void convert(View<const bf16> /*from*/, View<float> /*to*/) { absent(); }

template <class T>
void Elementwise<T>::set_zero(View<T> /*x*/) {
  absent();
}

template <class T>
void Elementwise<T>::add(View<const T> /*a*/, View<const T> /*b*/, View<T> /*out*/) {
  absent();
}

template <class T>
void Elementwise<T>::copy_columns(View<const T> /*from*/, View<T> /*to*/) {
  absent();
}

template <class T>
void Elementwise<T>::add_bias(View<T> /*x*/, View<const T> /*bias*/) {
  absent();
}

template <class T>
void Elementwise<T>::bias_backward(View<const T> /*dy*/, View<T> /*dbias*/) {
  absent();
}

template <class T>
void Elementwise<T>::gather_rows(View<const T> /*from*/, Ids /*rows*/, View<T> /*to*/) {
  absent();
}

template <class T>
void Elementwise<T>::scatter_rows(View<const T> /*from*/, Ids /*rows*/, View<T> /*to*/) {
  absent();
}

template <class T>
void Elementwise<T>::embedding_backward(View<const T> /*dy*/, Ids /*tokens*/, View<T> /*dtable*/) {
  absent();
}

template <class T>
void Random<T>::dropout(View<const T> /*x*/, const RandomKey& /*key*/, double /*p*/,
                        View<T> /*out*/) {
  absent();
}

template <class T>
void Random<T>::dropout_add(View<const T> /*x*/, const RandomKey& /*key*/, double /*p*/,
                            View<T> /*sum*/) {
  absent();
}

template <class T>
void Random<T>::add_uniform_noise(View<T> /*x*/, const RandomKey& /*key*/, float /*magnitude*/) {
  absent();
}

template <class T>
void Activations<T>::swiglu_forward(View<const T> /*gate_up*/, View<T> /*act*/) {
  absent();
}

template <class T>
void Activations<T>::swiglu_backward(View<T> /*gate_up*/, View<T> /*dact*/) {
  absent();
}

template <class T>
void Activations<T>::rope(View<T> /*x*/, std::int64_t /*heads*/, Ids /*positions*/,
                          View<const float> /*cosine*/, View<const float> /*sine*/,
                          Rotation /*rotation*/) {
  absent();
}

template <class T>
void Quantized<T>::dequantize_rows(const QuantizedMatrix& /*from*/, std::int64_t /*first*/,
                                   View<T> /*out*/) {
  absent();
}

template <class T>
void Rmsnorm<T>::forward(const Device& /*device*/, const NormRows& /*rows*/, const T* /*x*/,
                         const T* /*added*/, T* /*sum*/, const T* /*weight*/, float /*eps*/,
                         T* /*y*/, float* /*rstd*/) {
  absent();
}

template <class T>
void Rmsnorm<T>::apply(const Device& /*device*/, const NormRows& /*rows*/, const T* /*x*/,
                       const T* /*weight*/, const float* /*rstd*/, T* /*y*/) {
  absent();
}

template <class T>
void Rmsnorm<T>::backward(const Device& /*device*/, const NormRows& /*rows*/, const T* /*dy*/,
                          const T* /*x*/, const T* /*weight*/, const float* /*rstd*/,
                          bool /*overwrite*/, T* /*dx*/, T* /*dweight*/, float* /*partial*/) {
  absent();
}

template <class T>
void Classifier<T>::forward(View<const T> /*logits*/, Ids /*targets*/,
                            std::span<double> /*log_prob*/, std::span<std::int32_t> /*argmax*/) {
  absent();
}

template <class T>
void Classifier<T>::forward_backward(View<T> /*logits*/, Ids /*targets*/,
                                     const CrossEntropy& /*options*/,
                                     std::span<double> /*log_prob*/, std::span<double> /*loss*/) {
  absent();
}

template <class T>
void Attention<T>::forward(const AttentionShape& /*shape*/, View<const T> /*qkv*/,
                           Ids /*first_key*/, View<T> /*out*/, View<float> /*lse*/,
                           View<float> /*workspace*/) {
  absent();
}

template <class T>
void Attention<T>::backward(const AttentionShape& /*shape*/, View<const T> /*qkv*/,
                            Ids /*first_key*/, View<const T> /*out*/, View<const T> /*dout*/,
                            View<const float> /*lse*/, View<T> /*dqkv*/,
                            View<float> /*workspace*/) {
  absent();
}

template <class T>
void Attention<T>::store(std::int64_t /*heads*/, View<const T> /*qkv*/, std::int64_t /*past*/,
                         View<T> /*keys*/, View<T> /*values*/) {
  absent();
}

template <class T>
void Attention<T>::cached(std::int64_t /*heads*/, View<const T> /*q*/, View<const T> /*keys*/,
                          View<const T> /*values*/, std::int64_t /*past*/, Ids /*first_key*/,
                          View<T> /*out*/) {
  absent();
}

template <class T>
void Optimizer<T>::adamw(const AdamW& /*options*/, const RoundingNoise& /*noise*/,
                         View<T> /*value*/, View<const T> /*gradient*/, View<float> /*m*/,
                         View<float> /*v*/) {
  absent();
}

template <class T>
void Optimizer<T>::adamw(const AdamW& /*options*/, const RoundingNoise& /*noise*/,
                         View<T> /*value*/, View<const T> /*gradient*/, View<bf16> /*m*/,
                         View<bf16> /*v*/) {
  absent();
}

template <class T>
void Optimizer<T>::adamw(const AdamW& /*options*/, const RoundingNoise& /*noise*/,
                         View<T> /*value*/, View<const T> /*gradient*/,
                         const Int8MomentViews& /*moments*/) {
  absent();
}

template <class T>
void Optimizer<T>::sums_of_squares(View<const T> /*x*/, View<double> /*sums*/) {
  absent();
}

template struct Elementwise<float>;
template struct Elementwise<bf16>;
template struct Random<float>;
template struct Random<bf16>;
template struct Activations<float>;
template struct Activations<bf16>;
template struct Quantized<float>;
template struct Quantized<bf16>;
template struct Rmsnorm<float>;
template struct Rmsnorm<bf16>;
template struct Classifier<float>;
template struct Classifier<bf16>;
template struct Attention<float>;
template struct Attention<bf16>;
template struct Optimizer<float>;
template struct Optimizer<bf16>;

}  // namespace nativo::ops::cuda
