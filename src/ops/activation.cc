#include "ops/activation.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/parallel_work.h"

namespace nativo::ops {
namespace {

float activated(Activation activation, float x) {
  switch (activation) {
    case Activation::kRelu:
      return std::max(x, 0.0F);
    case Activation::kGeluTanh:
      return 0.5F * x * (1.0F + std::tanh(0.7978845608028654F * (x + 0.044715F * x * x * x)));
    case Activation::kSwish:
      return x / (1.0F + std::exp(-x));
    case Activation::kGelu:
      return 0.5F * x * (1.0F + std::erf(0.7071067811865475F * x));
    case Activation::kGeluSigmoid:
      return x / (1.0F + std::exp(-1.702F * x));
    case Activation::kTanh:
      return std::tanh(x);
    case Activation::kSigmoid:
      return 1.0F / (1.0F + std::exp(-x));
  }
  return x;
}

}  // namespace

void activate(Activation activation, tensor::View<float> x) {
  const std::span<float> values = x.span();
  constexpr std::size_t kBlock = 4096;
  parallel_work((values.size() + kBlock - 1) / kBlock, static_cast<double>(values.size()),
                [&](std::size_t item) {
                  const std::size_t end = std::min(values.size(), (item + 1) * kBlock);
                  for (std::size_t i = item * kBlock; i < end; ++i)
                    values[i] = activated(activation, values[i]);
                });
}

void multiply(tensor::View<float> x, tensor::View<const float> y) {
  NATIVO_CHECK(x.shape() == y.shape(), "multiply: shapes differ");
  for (std::int64_t i = 0; i < x.elements(); ++i) x.data()[i] *= y.data()[i];
}

}  // namespace nativo::ops
