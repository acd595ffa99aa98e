// Speeds of the GPU's ops in the shapes of a 7B model: those bound by memory in GB/s and as a share
// of a copy's, products and attention in TFLOP/s. Usage: cuda_ops [TOKENS]. Needs a GPU.
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "ops/adamw.h"
#include "ops/attention.h"
#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/gemm.h"
#include "ops/global_norm.h"
#include "ops/noise.h"
#include "ops/quantize.h"
#include "ops/rmsnorm.h"
#include "ops/rope.h"
#include "ops/swiglu.h"
#include "tensor/arena.h"
#include "tensor/bf16.h"
#include "tensor/device_memory.h"

namespace {

using namespace nativo;  // NOLINT: a program of one file
using tensor::bf16;
using tensor::Shape;
using tensor::View;

const tensor::Device kGpu = tensor::Device::cuda(0);

constexpr std::int64_t kHidden = 4096;
constexpr std::int64_t kMlp = 14336;
constexpr std::int64_t kVocabulary = 32000;
constexpr std::int64_t kHeads = 32;
constexpr std::int64_t kKvHeads = 8;
constexpr std::int64_t kHeadDim = 128;

/// Memory that begins as noise: zeros would be faster than real numbers.
class Pool {
 public:
  template <class T>
  View<T> take(const Shape& shape) {
    const auto bytes = static_cast<std::size_t>(shape.elements()) * sizeof(T);
    tensor::DeviceMemory& memory = all_.emplace_back(kGpu, bytes, "a benchmark");
    const View<T> view(reinterpret_cast<T*>(memory.data()), shape, kGpu);
    if constexpr (std::is_same_v<T, float> || std::is_same_v<T, bf16>) {
      ops::set_zero(view);
      ops::add_uniform_noise(view, {.seed = 1, .tensor = static_cast<std::uint32_t>(all_.size())},
                             0.5F);
    } else {
      tensor::zero_bytes_async(memory.data(), bytes, tensor::compute_stream(kGpu));
    }
    return view;
  }

 private:
  std::vector<tensor::DeviceMemory> all_;
};

/// Median seconds of a run.
double seconds(const std::function<void()>& body) {
  tensor::StreamHandle stream = tensor::compute_stream(kGpu);
  for (int i = 0; i < 3; ++i) body();
  std::vector<double> times;
  tensor::Event begin(kGpu);
  tensor::Event end(kGpu);
  for (int i = 0; i < 15; ++i) {
    begin.record(stream);
    body();
    end.record(stream);
    end.wait();
    times.push_back(end.seconds_since(begin));
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

double copy_rate = 0.0;

void memory_bound(const std::string& name, double bytes, const std::function<void()>& body) {
  const double rate = bytes / seconds(body);
  fmt::print("{:<40} {:8.0f} GB/s {:6.1f} % of a copy\n", name, rate / 1e9, 100 * rate / copy_rate);
  std::fflush(stdout);
}

void arithmetic_bound(const std::string& name, double operations,
                      const std::function<void()>& body) {
  fmt::print("{:<40} {:8.1f} TFLOP/s\n", name, operations / seconds(body) / 1e12);
  std::fflush(stdout);
}

void rows(std::int64_t tokens) {
  Pool pool;
  const auto x = pool.take<bf16>({tokens, kHidden});
  const auto y = pool.take<bf16>({tokens, kHidden});
  const auto z = pool.take<bf16>({tokens, kHidden});
  const auto weight = pool.take<bf16>({kHidden});
  const auto dweight = pool.take<bf16>({kHidden});
  const auto rstd = pool.take<float>({tokens});
  const auto partial = pool.take<float>({ops::rmsnorm_partial_rows(tokens, kGpu), kHidden});
  const double row_bytes = 2.0 * static_cast<double>(tokens * kHidden);
  tensor::StreamHandle stream = tensor::compute_stream(kGpu);
  copy_rate =
      2.0 * row_bytes / seconds([&] {
        tensor::copy_bytes_async(y.data(), x.data(), static_cast<std::size_t>(row_bytes), stream);
      });
  fmt::print("{:<40} {:8.0f} GB/s\n", "copy", copy_rate / 1e9);
  memory_bound("add", 3 * row_bytes, [&] { ops::add(x, y, z); });
  memory_bound("rmsnorm_forward", 2 * row_bytes,
               [&] { ops::rmsnorm_forward(x, weight, 1e-5F, y, rstd); });
  memory_bound("add_rmsnorm_forward", 4 * row_bytes,
               [&] { ops::add_rmsnorm_forward(x, y, weight, 1e-5F, z, y, rstd); });
  memory_bound("rmsnorm_backward", 4 * row_bytes,
               [&] { ops::rmsnorm_backward(y, x, weight, rstd, z, dweight, partial); });

  const auto qkv = pool.take<bf16>({tokens, (kHeads + 2 * kKvHeads) * kHeadDim});
  const auto cosine = pool.take<float>({2048, kHeadDim / 2});
  const auto sine = pool.take<float>({2048, kHeadDim / 2});
  const auto positions = pool.take<std::int32_t>({tokens});
  memory_bound("rope", 4.0 * static_cast<double>(tokens * (kHeads + kKvHeads) * kHeadDim), [&] {
    ops::rope(qkv, kHeads + kKvHeads, positions.span(), cosine, sine, ops::Rotation::kForward);
  });

  const auto gate_up = pool.take<bf16>({tokens, 2 * kMlp});
  const auto act = pool.take<bf16>({tokens, kMlp});
  const double act_bytes = 2.0 * static_cast<double>(tokens * kMlp);
  memory_bound("swiglu_forward", 3 * act_bytes, [&] { ops::swiglu_forward(gate_up, act); });
  memory_bound("swiglu_backward", 6 * act_bytes, [&] { ops::swiglu_backward(gate_up, act); });

  std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids[i] = static_cast<std::int32_t>(i * 2654435761U % 4000 * (i % 7) % kVocabulary);
  }
  const auto tokens_there = pool.take<std::int32_t>({tokens});
  tensor::copy(View<std::int32_t>(ids.data(), {tokens}), tokens_there);
  const auto table = pool.take<bf16>({kVocabulary, kHidden});
  memory_bound("embedding_forward", 2 * row_bytes,
               [&] { ops::embedding_forward(table, tokens_there.span(), x); });
  memory_bound("embedding_backward (rows read)", row_bytes,
               [&] { ops::embedding_backward(x, tokens_there.span(), table); });

  const std::int64_t chunk = std::min<std::int64_t>(tokens, 4096);
  const auto logits = pool.take<bf16>({chunk, kVocabulary});
  const auto log_prob = pool.take<double>({chunk});
  memory_bound("cross_entropy (one read, one write)",
               4.0 * static_cast<double>(chunk * kVocabulary), [&] {
                 ops::cross_entropy_forward_backward(
                     logits, tokens_there.span().first(static_cast<std::size_t>(chunk)), {},
                     log_prob.span(), {});
               });
}

void optimizer() {
  Pool pool;
  constexpr std::int64_t kCount = 2 * kHidden * kMlp;
  const auto value = pool.take<bf16>({kCount});
  const auto gradient = pool.take<bf16>({kCount});
  const auto m = pool.take<float>({kCount});
  const auto v = pool.take<float>({kCount});
  const ops::AdamW options;
  const auto count = static_cast<double>(kCount);
  memory_bound("adamw, f32 moments", 22 * count,
               [&] { ops::adamw(options, {}, value, gradient, m, v); });
  const View<bf16> m16(reinterpret_cast<bf16*>(m.data()), {kCount}, kGpu);
  const View<bf16> v16(reinterpret_cast<bf16*>(v.data()), {kCount}, kGpu);
  memory_bound("adamw, bf16 moments", 14 * count,
               [&] { ops::adamw(options, {}, value, gradient, m16, v16); });
  const auto scales = pool.take<float>({ops::moment_blocks(kCount)});
  const auto more_scales = pool.take<float>({ops::moment_blocks(kCount)});
  const ops::Int8MomentViews moments{
      View<std::int8_t>(reinterpret_cast<std::int8_t*>(m.data()), {kCount}, kGpu), scales,
      View<std::uint8_t>(reinterpret_cast<std::uint8_t*>(v.data()), {kCount}, kGpu), more_scales};
  memory_bound("adamw, 8-bit moments", 10.125 * count,
               [&] { ops::adamw(options, {}, value, gradient, moments); });
  const auto sums = pool.take<double>(
      {static_cast<std::int64_t>(ops::norm_pieces(static_cast<std::size_t>(kCount)))});
  memory_bound("sums_of_squares", 2 * count, [&] { ops::sums_of_squares(gradient, sums); });

  for (const bool nf4 : {true, false}) {
    const auto format = nf4 ? ops::QuantFormat::kNf4 : ops::QuantFormat::kInt8;
    const auto shapes = ops::quantized_shapes(format, ops::ScaleFormat::kF32, 2 * kMlp, kHidden);
    const ops::QuantizedMatrix matrix{format,
                                      ops::ScaleFormat::kF32,
                                      2 * kMlp,
                                      kHidden,
                                      pool.take<std::uint8_t>(shapes.codes),
                                      pool.take<float>(shapes.scales),
                                      pool.take<std::uint8_t>(shapes.scale_codes),
                                      pool.take<float>(shapes.scale_ranges)};
    const View<bf16> out(value.data(), {2 * kMlp, kHidden}, kGpu);
    memory_bound(nf4 ? "dequantize_rows, NF4" : "dequantize_rows, int8",
                 (nf4 ? 2.5625 : 3.0625) * count, [&] { ops::dequantize_rows(matrix, 0, out); });
  }
}

void products(std::int64_t tokens) {
  Pool pool;
  const auto n = static_cast<double>(tokens);
  for (const auto& [inputs, outputs] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {kHidden, 6144}, {kHidden, kHidden}, {kHidden, 2 * kMlp}, {kMlp, kHidden}}) {
    const auto x = pool.take<bf16>({tokens, inputs});
    const auto w = pool.take<bf16>({outputs, inputs});
    const auto y = pool.take<bf16>({tokens, outputs});
    const double operations = 2.0 * n * static_cast<double>(inputs * outputs);
    const std::string shape = fmt::format(" {} -> {}", inputs, outputs);
    arithmetic_bound("linear_forward" + shape, operations, [&] { ops::linear_forward(x, w, y); });
    arithmetic_bound("linear_backward_input" + shape, operations,
                     [&] { ops::linear_backward_input(y, w, x, ops::Write::kOverwrite); });
    arithmetic_bound("linear_backward_weight" + shape, operations,
                     [&] { ops::linear_backward_weight(y, x, w); });
  }
}

void attention(std::int64_t tokens) {
  Pool pool;
  for (const std::int64_t length : {std::int64_t{2048}, std::int64_t{8192}}) {
    if (length > tokens) continue;
    const ops::AttentionShape shape{tokens / length, length, kHeads, kKvHeads, kHeadDim};
    const std::int64_t all = shape.rows * length;
    const auto qkv = pool.take<bf16>({all, (kHeads + 2 * kKvHeads) * kHeadDim});
    const auto dqkv = pool.take<bf16>({all, (kHeads + 2 * kKvHeads) * kHeadDim});
    const auto out = pool.take<bf16>({all, kHeads * kHeadDim});
    const auto dout = pool.take<bf16>({all, kHeads * kHeadDim});
    const auto lse = pool.take<float>({all, kHeads});
    const auto workspace = pool.take<float>({ops::attention_workspace(shape, kGpu)});
    const auto first = pool.take<std::int32_t>({all});
    // Of the causal half alone: two products forward, five backward.
    const double half = 2.0 * static_cast<double>(all) * static_cast<double>(length) / 2.0 *
                        static_cast<double>(kHeads * kHeadDim);
    arithmetic_bound(fmt::format("attention_forward, T = {}", length), 2 * half, [&] {
      ops::attention_forward(shape, qkv, first.span(), out, lse, workspace);
    });
    arithmetic_bound(fmt::format("attention_backward, T = {}", length), 5 * half, [&] {
      ops::attention_backward(shape, qkv, first.span(), out, dout, lse, dqkv, workspace);
    });
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::int64_t tokens = argc > 1 ? std::max(64, std::atoi(argv[1])) : 8192;
    const tensor::GpuFacts facts = tensor::gpu_facts(kGpu);
    fmt::print("{}, {} processors, L2 {} MiB, {} tokens\n", facts.name, facts.processors,
               facts.l2_bytes >> 20, tokens);
    rows(tokens);
    optimizer();
    products(tokens);
    attention(tokens);
  } catch (const Error& error) {
    fmt::print(stderr, "cuda_ops: {}\n  {}\n", error.what(), error.hint());
    return static_cast<int>(error.code());
  }
  return 0;
}
