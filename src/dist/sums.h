// Sums of equal arrays in the order in which they are given, block by block through the cache.
// Not for other folders. Rule: one element's sum does not depend on where its block begins or which
// thread has it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "dist/communicator.h"
#include "tensor/dtype.h"

namespace nativo::dist {

template <class T>
struct PlainNumber {
  using Stored = T;
  using Sum = T;
  static T load(T value) { return value; }
  static T store(T value) { return value; }
};

/// Summed in f32.
struct Bf16Number {
  using Stored = std::uint16_t;
  using Sum = float;
  static float load(std::uint16_t bits) { return tensor::bf16_to_f32(bits); }
  static std::uint16_t store(float value) { return tensor::f32_to_bf16(value); }
};

/// body(Number(), Crossing()): what the values are, and what their nodes' sums are between nodes.
template <class Body>
void with_numbers(const Values& values, const Body& body) {
  switch (values.type) {
    case tensor::DType::kF32:
      if (values.crosses_as_bf16) return body(PlainNumber<float>(), Bf16Number());
      return body(PlainNumber<float>(), PlainNumber<float>());
    case tensor::DType::kF64:
      return body(PlainNumber<double>(), PlainNumber<double>());
    case tensor::DType::kI64:
      return body(PlainNumber<std::int64_t>(), PlainNumber<std::int64_t>());
    case tensor::DType::kBf16:
      return body(Bf16Number(), PlainNumber<float>());
    default:
      NATIVO_CHECK(false, "a type that has sums");
  }
}

inline constexpr std::size_t kSumBlock = 4096;

template <class Body>
void for_sum_blocks(std::size_t count, const Body& body) {
  constexpr std::size_t kBlocks = 16;  // of one item of parallel_for
  constexpr std::size_t kPiece = kBlocks * kSumBlock;
  parallel_for((count + kPiece - 1) / kPiece, [&](std::size_t piece) {
    const std::size_t end = std::min(count, (piece + 1) * kPiece);
    for (std::size_t at = piece * kPiece; at < end; at += kSumBlock) {
      body(at, std::min(kSumBlock, end - at));
    }
  });
}

/// to[i] = from[0][i] + from[1][i] + ... for a block.
template <class Number>
void sum_block(const std::vector<const typename Number::Stored*>& from, std::size_t at,
               std::size_t count, typename Number::Sum* __restrict to) {
  for (std::size_t i = 0; i < count; ++i) to[i] = Number::load(from[0][at + i]);
  for (std::size_t j = 1; j < from.size(); ++j) {
    const auto* next = from[j] + at;
    for (std::size_t i = 0; i < count; ++i) to[i] += Number::load(next[i]);
  }
}

/// The same of `count` elements, stored as To's; `to` may be one of `from`.
template <class Number, class To = Number>
void sum_stored(const std::vector<const typename Number::Stored*>& from, std::size_t count,
                typename To::Stored* to) {
  for_sum_blocks(count, [&](std::size_t at, std::size_t size) {
    typename Number::Sum sums[kSumBlock];
    sum_block<Number>(from, at, size, sums);
    for (std::size_t i = 0; i < size; ++i) to[at + i] = To::store(sums[i]);
  });
}

/// to = from, as To's.
template <class Number, class To>
void convert(const typename Number::Stored* from, std::size_t count, typename To::Stored* to) {
  sum_stored<Number, To>({from}, count, to);
}

}  // namespace nativo::dist
