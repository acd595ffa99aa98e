// Eight masks of 16 bits from each Philox block. See the header.
#include "ops/dropout.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/parallel.h"

namespace nativo::ops {
namespace {

constexpr std::int64_t kPiece = 16384;
constexpr std::uint64_t kPurpose = 0x64726F706F757421;

/// Calls body(i, kept) for each element.
template <class Body>
void for_mask(std::int64_t count, const RandomKey& key, double p, const Body& body) {
  NATIVO_CHECK(p >= 0.0 && p < 1.0, "dropout: a probability below 1");
  const auto dropped = static_cast<std::uint32_t>(std::lround(p * 65536.0));
  parallel_for(static_cast<std::size_t>((count + kPiece - 1) / kPiece), [&](std::size_t piece) {
    std::int64_t i = static_cast<std::int64_t>(piece) * kPiece;
    const std::int64_t end = std::min(i + kPiece, count);
    while (i < end) {
      const std::uint64_t number = key.first_element + static_cast<std::uint64_t>(i);
      const auto bits = random_block(key, kPurpose, number / 8);
      for (std::uint64_t lane = number % 8; lane < 8 && i < end; ++lane, ++i) {
        body(i, ((bits[lane / 2] >> (lane % 2 * 16)) & 0xFFFFU) >= dropped);
      }
    }
  });
}

}  // namespace

void dropout(tensor::View<const float> x, const RandomKey& key, double p, tensor::View<float> out) {
  NATIVO_CHECK(x.shape() == out.shape(), "dropout: shapes differ");
  const auto scale = static_cast<float>(1.0 / (1.0 - p));
  const float* from = x.data();
  float* to = out.data();
  for_mask(x.elements(), key, p,
           [=](std::int64_t i, bool kept) { to[i] = kept ? from[i] * scale : 0.0F; });
}

void dropout_add(tensor::View<const float> x, const RandomKey& key, double p,
                 tensor::View<float> sum) {
  NATIVO_CHECK(x.shape() == sum.shape(), "dropout: shapes differ");
  const auto scale = static_cast<float>(1.0 / (1.0 - p));
  const float* from = x.data();
  float* to = sum.data();
  for_mask(x.elements(), key, p, [=](std::int64_t i, bool kept) {
    if (kept) to[i] += from[i] * scale;
  });
}

}  // namespace nativo::ops
