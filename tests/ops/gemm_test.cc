#include "ops/gemm.h"

#include <gtest/gtest.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill and the masks are POSIX
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "base/interrupt.h"
#include "ops/device_test_tools.h"
#include "reference/linear.h"

namespace nativo::ops {
namespace {

struct Sizes {
  std::size_t rows, outputs, inputs;
};

/// One row; sizes below, at and beyond a tile.
const std::vector<Sizes> kSizes{{1, 37, 70}, {1, 8, 200}, {2, 3, 5}, {7, 130, 65}, {300, 131, 97}};

std::int64_t size(std::size_t value) { return static_cast<std::int64_t>(value); }

class Gemm : public OnEveryDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, Gemm, testing::ValuesIn(arithmetics()), arithmetic_name);

TEST_P(Gemm, ForwardAndGradientsAgreeWithTheReference) {
  with_type([&]<class T>(T) {
    for (const auto& [rows, outputs, inputs] : kSizes) {
      const auto x = numbers(rows * inputs, 1);
      const auto w = numbers(outputs * inputs, 2);
      const auto dy = numbers(rows * outputs, 3);
      const auto bias = numbers(outputs, 4);
      const Shape in{size(rows), size(inputs)};
      const Shape out{size(rows), size(outputs)};
      On<T> on_x(device(), x, in);
      On<T> on_w(device(), w, {size(outputs), size(inputs)});
      On<T> on_dy(device(), dy, out);
      On<T> on_bias(device(), bias, {size(outputs)});

      On<T> y(device(), out);
      linear_forward(on_x.read(), on_w.read(), y.view());
      auto expected = reference::linear(x, w, rows, outputs, inputs);
      EXPECT_LT(relative_error(y.get_numbers(), expected), bound());
      linear_forward(on_x.read(), on_w.read(), on_bias.read(), y.view());
      for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += bias[i % outputs];
      EXPECT_LT(relative_error(y.get_numbers(), expected), bound());

      expected = reference::linear_dx(dy, w, rows, outputs, inputs);
      On<T> dx(device(), in);
      linear_backward_input(on_dy.read(), on_w.read(), dx.view(), Write::kOverwrite);
      EXPECT_LT(relative_error(dx.get_numbers(), expected), bound());
      linear_backward_input(on_dy.read(), on_w.read(), dx.view(), Write::kAccumulate);
      for (double& value : expected) value *= 2.0;
      EXPECT_LT(relative_error(dx.get_numbers(), expected), twice());

      expected = reference::linear_dweight(dy, x, rows, outputs, inputs);
      On<T> dweight(device(), w, {size(outputs), size(inputs)});
      linear_backward_weight(on_dy.read(), on_x.read(), dweight.view());
      for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += w[i];
      EXPECT_LT(relative_error(dweight.get_numbers(), expected), bound());
      const std::vector<T> once = dweight.get();
      On<T> again(device(), w, {size(outputs), size(inputs)});
      linear_backward_weight(on_dy.read(), on_x.read(), again.view());
      EXPECT_EQ(again.get(), once) << "twice the same bits";
    }
  });
}

TEST(LinearReference, ItsGradientsAreTheDifferences) {
  const auto x = normal_numbers(3 * 5, 1);
  const auto w = normal_numbers(4 * 5, 2);
  const auto dy = normal_numbers(3 * 4, 3);
  const auto by_x = reference::finite_difference(
      [&](const auto& v) { return reference::dot(dy, reference::linear(v, w, 3, 4, 5)); }, x);
  const auto by_w = reference::finite_difference(
      [&](const auto& v) { return reference::dot(dy, reference::linear(x, v, 3, 4, 5)); }, w);
  EXPECT_LT(relative_error(reference::linear_dx(dy, w, 3, 4, 5), by_x), kDifference);
  EXPECT_LT(relative_error(reference::linear_dweight(dy, x, 3, 4, 5), by_w), kDifference);
}

TEST(CpuGemm, AnyNumberOfThreadsGivesTheSameBits) {
  // The weight gradient: few outputs, a long sum, where libraries split the sum by threads.
  const std::vector<float> dy = to_f32(normal_numbers(2048 * 192, 1));
  const std::vector<float> x = to_f32(normal_numbers(2048 * 192, 2));
  std::vector<float> expected;
  on_threads([&](int threads) {
    std::vector<float> dweight(192 * 192, 0.0F);
    linear_backward_weight(view(dy, {2048, 192}), view(x, {2048, 192}), view(dweight, {192, 192}));
    if (threads == 1) expected = dweight;
    EXPECT_TRUE(dweight == expected) << threads << " threads";
  });
}

TEST(CpuGemm, ASignalDoesNotTouchAProduct) {
  // Generated code may keep values below the stack pointer: the handler must not run there.
  const std::size_t n = 96;
  const std::vector<float> ones(n * n, 1.0F);
  const Shape square{size(n), size(n)};
  std::vector<float> product(n * n);
  std::atomic<int> asked = 0;
  constexpr int kSignals = 400;
  sigset_t interrupts;
  sigemptyset(&interrupts);
  sigaddset(&interrupts, SIGINT);
  pthread_sigmask(SIG_BLOCK, &interrupts, nullptr);
  std::thread sender([&] {
    for (int sent = 0; sent < kSignals; ++sent) {
      while (asked.load() <= sent) std::this_thread::yield();
      std::this_thread::sleep_for(std::chrono::microseconds(sent % 97));
      ::kill(::getpid(), SIGINT);
    }
  });
  pthread_sigmask(SIG_UNBLOCK, &interrupts, nullptr);
  bool exact = true;
  for (int i = 0; i < kSignals; ++i) {
    install_signal_handlers();
    ++asked;
    while (!interrupted()) {
      linear_backward_input(view(ones, square), view(ones, square), view(product, square),
                            Write::kOverwrite);
      for (const float value : product) exact = exact && value == static_cast<float>(n);
    }
    release_signal_handlers();
  }
  sender.join();
  EXPECT_TRUE(exact);
}

TEST(CpuGemm, NoRowsIsNoWork) {
  std::vector<float> w(12, 1.0F);
  std::vector<float> dweight(12, 3.0F);
  linear_backward_weight(View<const float>(nullptr, {0, 4}), View<const float>(nullptr, {0, 3}),
                         view(dweight, {4, 3}));
  EXPECT_EQ(dweight, std::vector<float>(12, 3.0F));
}

}  // namespace
}  // namespace nativo::ops
