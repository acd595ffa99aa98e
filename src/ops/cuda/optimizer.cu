// AdamW in one pass over a tensor, sums of squares, and the factor that clips. Bound by memory.
#include "base/rng.h"
#include "ops/adamw_math.h"
#include "ops/cuda/kernels.cuh"
#include "ops/cuda/ops.h"
#include "ops/global_norm.h"

namespace nativo::ops::cuda {
namespace {

/// A thread takes 4 chunks that lie 16 elements apart: the elements of one Philox block are 16
/// apart, so that a thread uses all that it draws. Two threads make a noise group of 64, four a
/// block of 8-bit moments.
constexpr int kParts = 4;

__device__ __forceinline__ std::int64_t thread_begin(std::int64_t thread) {
  return thread / 2 * 64 + thread % 2 * kChunk;
}

struct Noise {
  std::uint64_t seed;
  std::uint32_t tensor;
  std::uint32_t step;
  std::int64_t first;
};

/// words[part][i] is the word of element begin + 16 part + i.
__device__ __forceinline__ void draw(const Noise& noise, std::int64_t begin,
                                     std::uint32_t (&words)[kParts][kChunk]) {
  const std::int64_t element = noise.first + begin;
#pragma unroll
  for (int i = 0; i < kChunk; ++i) {
    const std::int64_t at = element + i;
    const auto block = philox(
        {static_cast<std::uint32_t>(at / 64 * 16 + at % 16), 0x6164616D, noise.step, noise.tensor},
        {static_cast<std::uint32_t>(noise.seed), static_cast<std::uint32_t>(noise.seed >> 32)});
#pragma unroll
    for (unsigned part = 0; part < kParts; ++part) words[part][i] = block[part];
  }
}

__device__ __forceinline__ void store_value(const float (&value)[kChunk],
                                            const std::uint32_t (&/*words*/)[kChunk],
                                            std::int64_t left, bool wide, float* to) {
  store(value, left, wide, to);
}

__device__ __forceinline__ void store_bits(const std::uint16_t (&bits)[kChunk], std::int64_t left,
                                           bool wide, bf16* to) {
  if (wide && left >= kChunk) {
    uint4 packed;
    packed.x = bits[0] | (static_cast<std::uint32_t>(bits[1]) << 16);
    packed.y = bits[2] | (static_cast<std::uint32_t>(bits[3]) << 16);
    packed.z = bits[4] | (static_cast<std::uint32_t>(bits[5]) << 16);
    packed.w = bits[6] | (static_cast<std::uint32_t>(bits[7]) << 16);
    *reinterpret_cast<uint4*>(to) = packed;
    return;
  }
#pragma unroll
  for (int i = 0; i < kChunk; ++i) {
    if (i < left) to[i].bits = bits[i];
  }
}

__device__ __forceinline__ void store_value(const float (&value)[kChunk],
                                            const std::uint32_t (&words)[kChunk], std::int64_t left,
                                            bool wide, bf16* to) {
  std::uint16_t bits[kChunk];
#pragma unroll
  for (int i = 0; i < kChunk; ++i) bits[i] = round_stochastically(value[i], value_noise(words[i]));
  store_bits(bits, left, wide, to);
}

/// Moments in f32 (rounded nowhere) or bf16 (the word's lower half rounds m, the upper v).
template <class T, class Moment>
__global__ void adamw_kernel(AdamWFactors by, Noise noise, std::int64_t count, bool wide, T* value,
                             const T* gradient, Moment* m, Moment* v) {
  const std::int64_t begin = thread_begin(thread_index());
  if (begin >= count) return;
  std::uint32_t words[kParts][kChunk] = {};
  if (sizeof(T) == 2 || sizeof(Moment) == 2) draw(noise, begin, words);
#pragma unroll
  for (int part = 0; part < kParts; ++part) {
    const std::int64_t at = begin + 16 * part;
    const std::int64_t left = count - at;
    if (left <= 0) break;
    float x[kChunk];
    float g[kChunk];
    float first[kChunk];
    float second[kChunk];
    load(value + at, left, wide, x);
    load(gradient + at, left, wide, g);
    load(m + at, left, wide, first);
    load(v + at, left, wide, second);
#pragma unroll
    for (int i = 0; i < kChunk; ++i) x[i] = adamw_element(by, g[i], x[i], first[i], second[i]);
    store_value(x, words[part], left, wide, value + at);
    if constexpr (sizeof(Moment) == 2) {
      std::uint16_t low[kChunk];
      std::uint16_t high[kChunk];
#pragma unroll
      for (int i = 0; i < kChunk; ++i) {
        low[i] = round_stochastically(first[i], words[part][i] & 0xFFFFU);
        high[i] = round_stochastically(second[i], words[part][i] >> 16);
      }
      store_bits(low, left, wide, m + at);
      store_bits(high, left, wide, v + at);
    } else {
      store(first, left, wide, m + at);
      store(second, left, wide, v + at);
    }
  }
}

struct Int8Pointers {
  std::int8_t* m;
  float* m_scale;
  std::uint8_t* v;
  float* v_scale;
};

/// The maximum over the four threads of a block of moments.
__device__ __forceinline__ float block_of_moments_max(float value) {
  value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, 1));
  return fmaxf(value, __shfl_xor_sync(kAllLanes, value, 2));
}

__device__ __forceinline__ void load_codes(const std::uint8_t* from, std::int64_t left, bool wide,
                                           std::uint8_t (&to)[kChunk]) {
  if (wide && left >= kChunk) {
    const uint2 bits = *reinterpret_cast<const uint2*>(from);
#pragma unroll
    for (int i = 0; i < kChunk; ++i) {
      to[i] = static_cast<std::uint8_t>((i < 4 ? bits.x : bits.y) >> (8 * (i % 4)));
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kChunk; ++i) to[i] = i < left ? from[i] : std::uint8_t{0};
}

__device__ __forceinline__ void store_codes(const std::uint8_t (&from)[kChunk], std::int64_t left,
                                            bool wide, std::uint8_t* to) {
  if (wide && left >= kChunk) {
    uint2 bits{0, 0};
#pragma unroll
    for (int i = 0; i < kChunk; ++i) {
      (i < 4 ? bits.x : bits.y) |= static_cast<std::uint32_t>(from[i]) << (8 * (i % 4));
    }
    *reinterpret_cast<uint2*>(to) = bits;
    return;
  }
#pragma unroll
  for (int i = 0; i < kChunk; ++i) {
    if (i < left) to[i] = from[i];
  }
}

/// All threads of a warp stay to the end: they exchange the blocks' greatest moments.
template <class T>
__global__ void adamw_int8_kernel(AdamWFactors by, Noise noise, std::int64_t count, bool wide,
                                  T* value, const T* gradient, Int8Pointers moments) {
  const std::int64_t thread = thread_index();
  const std::int64_t begin = thread_begin(thread);
  const std::int64_t block = begin / kMomentBlock;
  const bool inside = block * kMomentBlock < count;
  std::uint32_t words[kParts][kChunk];
  draw(noise, begin, words);
  const float m_scale = inside ? moments.m_scale[block] : 0.0F;
  const float v_scale = inside ? moments.v_scale[block] : 0.0F;
  float first[kParts][kChunk];
  float second[kParts][kChunk];
  float most_first = 0.0F;
  float most_second = 0.0F;
  auto* m = reinterpret_cast<std::uint8_t*>(moments.m);
#pragma unroll
  for (int part = 0; part < kParts; ++part) {
    const std::int64_t at = begin + 16 * part;
    const std::int64_t left = count - at;
    float x[kChunk];
    float g[kChunk];
    std::uint8_t m_codes[kChunk];
    std::uint8_t v_codes[kChunk];
    load(value + at, left, wide, x);
    load(gradient + at, left, wide, g);
    load_codes(m + at, left, wide, m_codes);
    load_codes(moments.v + at, left, wide, v_codes);
#pragma unroll
    for (int i = 0; i < kChunk; ++i) {
      first[part][i] = decode_first(static_cast<std::int8_t>(m_codes[i]), m_scale);
      second[part][i] = decode_second(v_codes[i], v_scale);
      x[i] = adamw_element(by, g[i], x[i], first[part][i], second[part][i]);
      most_first = fmaxf(most_first, fabsf(first[part][i]));
      most_second = fmaxf(most_second, second[part][i]);
    }
    store_value(x, words[part], left, wide, value + at);
  }
  most_first = block_of_moments_max(most_first);
  most_second = block_of_moments_max(most_second);
  const float m_inverse = most_first > 0.0F ? kFirstCodes * kFirstCodes / most_first : 0.0F;
  const float v_inverse = most_second > 0.0F ? 1.0F / most_second : 0.0F;
#pragma unroll
  for (int part = 0; part < kParts; ++part) {
    const std::int64_t at = begin + 16 * part;
    std::uint8_t m_codes[kChunk];
    std::uint8_t v_codes[kChunk];
#pragma unroll
    for (int i = 0; i < kChunk; ++i) {
      const std::uint32_t word = words[part][i];
      m_codes[i] = static_cast<std::uint8_t>(
          encode_first(first[part][i], m_inverse, uniform16(word & 0xFFFFU)));
      v_codes[i] = encode_second(second[part][i] * v_inverse, uniform16(word >> 16));
    }
    store_codes(m_codes, count - at, wide, m + at);
    store_codes(v_codes, count - at, wide, moments.v + at);
  }
  if (inside && thread % 4 == 0) {
    moments.m_scale[block] = most_first;
    moments.v_scale[block] = most_second;
  }
}

/// A block a piece: each thread's elements in order, then the block's tree.
template <class T>
__global__ void squares_kernel(const T* x, std::int64_t count, bool wide, double* sums) {
  constexpr auto kPiece = static_cast<std::int64_t>(kNormPiece);
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x) * kPiece;
  const std::int64_t end = begin + kPiece < count ? begin + kPiece : count;
  double sum = 0.0;
  for (std::int64_t at = begin + threadIdx.x * kChunk; at < end;
       at += std::int64_t{kThreads} * kChunk) {
    float values[kChunk];
    load(x + at, end - at, wide, values);
#pragma unroll
    for (int i = 0; i < kChunk; ++i) {
      const auto value = static_cast<double>(values[i]);
      sum += value * value;
    }
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

dim3 adamw_grid(std::int64_t count) {
  // Whole noise groups of two threads.
  return grid_for((count + 63) / 64 * 2);
}

Noise noise_of(const RoundingNoise& noise, const AdamW& options) {
  return {noise.seed, noise.tensor, static_cast<std::uint32_t>(options.step), noise.first};
}

template <class T, class Moment>
void run(const AdamW& options, const RoundingNoise& noise, View<T> value, View<const T> gradient,
         View<Moment> m, View<Moment> v) {
  const bool wide = is_wide(0, value.data(), gradient.data(), m.data(), v.data());
  launch(adamw_kernel<T, Moment>, adamw_grid(value.elements()), dim3(kThreads), 0,
         compute_stream(value.device()), AdamWFactors(options), noise_of(noise, options),
         value.elements(), wide, value.data(), gradient.data(), m.data(), v.data());
}

}  // namespace

template <class T>
void Optimizer<T>::adamw(const AdamW& options, const RoundingNoise& noise, View<T> value,
                         View<const T> gradient, View<float> m, View<float> v) {
  run(options, noise, value, gradient, m, v);
}

template <class T>
void Optimizer<T>::adamw(const AdamW& options, const RoundingNoise& noise, View<T> value,
                         View<const T> gradient, View<bf16> m, View<bf16> v) {
  run(options, noise, value, gradient, m, v);
}

template <class T>
void Optimizer<T>::adamw(const AdamW& options, const RoundingNoise& noise, View<T> value,
                         View<const T> gradient, const Int8MomentViews& moments) {
  const bool wide = is_wide(0, value.data(), gradient.data()) && is_aligned(moments.m.data(), 8) &&
                    is_aligned(moments.v.data(), 8);
  launch(adamw_int8_kernel<T>, adamw_grid(value.elements()), dim3(kThreads), 0,
         compute_stream(value.device()), AdamWFactors(options), noise_of(noise, options),
         value.elements(), wide, value.data(), gradient.data(),
         Int8Pointers{moments.m.data(), moments.m_scale.data(), moments.v.data(),
                      moments.v_scale.data()});
}

template <class T>
void Optimizer<T>::sums_of_squares(View<const T> x, View<double> sums) {
  launch(squares_kernel<T>, dim3(static_cast<unsigned>(sums.elements())), dim3(kThreads), 0,
         compute_stream(x.device()), x.data(), x.elements(), is_wide(0, x.data()), sums.data());
}

template struct Optimizer<float>;
template struct Optimizer<bf16>;

}  // namespace nativo::ops::cuda
