// How fast products of a training step's shapes are: as ops/gemm.h does them, beside oneDNN's sgemm
// called once for the whole matrix, in turns. Not a test: it checks nothing.
// Usage: gemm [threads] [rounds]. Rates are of CPU time with one thread, of the clock with more.
#include "ops/gemm.h"

#include <dnnl.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

#include "base/clock.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "tensor/arena.h"

namespace {

using nativo::ops::Write;
using nativo::tensor::View;

/// y[rows,out] = x[rows,in] weight[out,in]^T, so often in a step.
struct Layer {
  std::int64_t rows, out, in;
  double times;
};

/// The models S and M of bench/train_step with 2048 tokens a batch; the head of M in slices.
constexpr Layer kLayers[] = {
    {2048, 1024, 512, 8},   {2048, 512, 512, 8},    {2048, 2816, 512, 8},   {2048, 512, 1408, 8},
    {2048, 8192, 512, 1},   {2048, 2048, 1024, 12}, {2048, 1024, 1024, 12}, {2048, 5632, 1024, 12},
    {2048, 1024, 2816, 12}, {512, 32000, 1024, 4},
};

template <class Body>
double seconds_of(const Body& body) {
  const bool alone = nativo::thread_count() == 1;
  const auto now = [&] { return alone ? nativo::cpu_seconds() : nativo::monotonic_seconds(); };
  const double start = now();
  body();
  return now() - start;
}

struct Sum {
  double flops = 0.0;
  double ours = 0.0;
  double library = 0.0;

  void print(const char* name) const {
    fmt::print("{:28} {:8.1f} {:8.1f} {:7.3f}\n", name, flops / ours / 1e9, flops / library / 1e9,
               library / ours);
  }
  void add(const Sum& other, double times) {
    flops += times * other.flops;
    ours += times * other.ours;
    library += times * other.library;
  }
};

/// The best of the rounds, each by itself.
template <class Ours, class Library>
Sum measure(const Layer& layer, int rounds, const Ours& ours, const Library& library) {
  Sum best{2.0 * static_cast<double>(layer.rows * layer.out * layer.in), 1e9, 1e9};
  for (int round = 0; round < rounds; ++round) {
    best.ours = std::min(best.ours, seconds_of(ours));
    best.library = std::min(best.library, seconds_of(library));
  }
  return best;
}

Sum layer_products(const Layer& layer, int rounds) {
  const auto [rows, out, in, times] = layer;
  nativo::tensor::ArenaPlan plan;  // memory as the engine has it
  const auto x_slot = plan.add<float>("x", {rows, in});
  const auto dx_slot = plan.add<float>("dx", {rows, in});
  const auto weight_slot = plan.add<float>("weight", {out, in});
  const auto dweight_slot = plan.add<float>("dweight", {out, in});
  const auto y_slot = plan.add<float>("y", {rows, out});
  const auto dy_slot = plan.add<float>("dy", {rows, out});
  nativo::tensor::Arena arena;
  arena.reserve(plan, "a layer");
  arena.zero();
  const auto x = arena.view<float>(x_slot);
  const auto dx = arena.view<float>(dx_slot);
  const auto weight = arena.view<float>(weight_slot);
  const auto dweight = arena.view<float>(dweight_slot);
  const auto y = arena.view<float>(y_slot);
  const auto dy = arena.view<float>(dy_slot);
  nativo::Rng rng(7);
  for (const auto& view : {x, weight, dy}) {
    for (float& value : view.span()) value = static_cast<float>(rng.uniform() - 0.5);
  }
  const auto sgemm = [](char ta, char tb, std::int64_t m, std::int64_t n, std::int64_t k,
                        const View<float>& a, const View<float>& b, float beta, View<float> c) {
    if (dnnl_sgemm(ta, tb, m, n, k, 1.0F, a.data(), a.size(1), b.data(), b.size(1), beta, c.data(),
                   n) != dnnl_success) {
      fmt::print(stderr, "oneDNN refused a matrix product\n");
      std::exit(1);
    }
  };
  const Sum forward = measure(
      layer, rounds, [&] { nativo::ops::linear_forward(x, weight, y); },
      [&] { sgemm('N', 'T', rows, out, in, x, weight, 0.0F, y); });
  const Sum input = measure(
      layer, rounds, [&] { nativo::ops::linear_backward_input(dy, weight, dx, Write::kOverwrite); },
      [&] { sgemm('N', 'N', rows, in, out, dy, weight, 0.0F, dx); });
  const Sum gradient = measure(
      layer, rounds, [&] { nativo::ops::linear_backward_weight(dy, x, dweight); },
      [&] { sgemm('T', 'N', out, in, rows, dy, x, 1.0F, dweight); });
  const auto name = [&](const char* product) {
    return fmt::format("{} x {} x {} {}", rows, out, in, product);
  };
  forward.print(name("y").c_str());
  input.print(name("dx").c_str());
  gradient.print(name("dweight").c_str());
  Sum sum = forward;
  sum.add(input, 1.0);
  sum.add(gradient, 1.0);
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  nativo::set_thread_count(argc > 1 ? std::atoi(argv[1]) : 1);
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 9;
  fmt::print("{:28} {:>8} {:>8} {:>7}\n", "rows x out x in, GFLOP/s", "ours", "oneDNN", "ratio");
  Sum all;
  for (const Layer& layer : kLayers) all.add(layer_products(layer, rounds), layer.times);
  all.print("all, as often as in steps");
  return 0;
}
