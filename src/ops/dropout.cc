// Eight masks of 16 bits from each Philox block. See the header.
#include "ops/dropout.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/parallel.h"
#include "ops/cuda/ops.h"
#include "ops/same_device.h"

namespace nativo::ops {
namespace {

constexpr std::int64_t kPiece = 16384;

/// Calls body(i, kept) for each element.
template <class Body>
void for_mask(std::int64_t count, const RandomKey& key, double p, const Body& body) {
  const std::uint32_t dropped = dropout_threshold(p);
  parallel_for(static_cast<std::size_t>((count + kPiece - 1) / kPiece), [&](std::size_t piece) {
    std::int64_t i = static_cast<std::int64_t>(piece) * kPiece;
    const std::int64_t end = std::min(i + kPiece, count);
    while (i < end) {
      const std::uint64_t number = key.first_element + static_cast<std::uint64_t>(i);
      const auto bits = random_block(key, kDropoutPurpose, number / 8);
      for (std::uint64_t lane = number % 8; lane < 8 && i < end; ++lane, ++i) {
        body(i, dropout_keeps(bits, static_cast<unsigned>(lane), dropped));
      }
    }
  });
}

template <class T>
void check(tensor::View<const T> x, double p, tensor::View<T> out) {
  NATIVO_CHECK(x.shape() == out.shape(), "dropout: shapes differ");
  NATIVO_CHECK(p >= 0.0 && p < 1.0, "dropout: a probability below 1");
}

}  // namespace

void dropout(tensor::View<const float> x, const RandomKey& key, double p, tensor::View<float> out) {
  check(x, p, out);
  if (on_gpu(x, out)) return cuda::Random<float>::dropout(x, key, p, out);
  const auto scale = static_cast<float>(1.0 / (1.0 - p));
  const float* from = x.data();
  float* to = out.data();
  for_mask(x.elements(), key, p,
           [=](std::int64_t i, bool kept) { to[i] = kept ? from[i] * scale : 0.0F; });
}

void dropout_add(tensor::View<const float> x, const RandomKey& key, double p,
                 tensor::View<float> sum) {
  check(x, p, sum);
  if (on_gpu(x, sum)) return cuda::Random<float>::dropout_add(x, key, p, sum);
  const auto scale = static_cast<float>(1.0 / (1.0 - p));
  const float* from = x.data();
  float* to = sum.data();
  for_mask(x.elements(), key, p, [=](std::int64_t i, bool kept) {
    if (kept) to[i] += from[i] * scale;
  });
}

void dropout(tensor::View<const tensor::bf16> x, const RandomKey& key, double p,
             tensor::View<tensor::bf16> out) {
  check(x, p, out);
  require_gpu(x, out);
  cuda::Random<tensor::bf16>::dropout(x, key, p, out);
}

void dropout_add(tensor::View<const tensor::bf16> x, const RandomKey& key, double p,
                 tensor::View<tensor::bf16> sum) {
  check(x, p, sum);
  require_gpu(x, sum);
  cuda::Random<tensor::bf16>::dropout_add(x, key, p, sum);
}

}  // namespace nativo::ops
