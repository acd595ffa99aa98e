// Checks shapes, then calls the device's kernels.
#include "ops/cross_entropy.h"

#include "base/error.h"
#include "base/parallel.h"
#include "ops/cross_entropy_cpu.h"
#include "ops/cuda/ops.h"
#include "ops/same_device.h"

namespace nativo::ops {
namespace {

template <class T>
void check(tensor::View<const T> logits, std::span<const std::int32_t> targets,
           std::span<const double> log_prob) {
  NATIVO_CHECK(logits.shape().rank() == 2 && logits.size(1) > 0,
               "cross_entropy takes logits [n,V]");
  NATIVO_CHECK(static_cast<std::int64_t>(targets.size()) == logits.size(0) &&
                   log_prob.size() == targets.size(),
               "cross_entropy: one target and one result a row");
}

template <class T>
void check_forward(tensor::View<const T> logits, std::span<const std::int32_t> targets,
                   std::span<const double> log_prob, std::span<const std::int32_t> argmax) {
  check(logits, targets, log_prob);
  NATIVO_CHECK(argmax.empty() || argmax.size() == targets.size(),
               "cross_entropy: one argmax a row");
}

template <class T>
void check_backward(tensor::View<const T> logits, std::span<const std::int32_t> targets,
                    const CrossEntropy& options, std::span<const double> log_prob,
                    std::span<const double> loss) {
  check(logits, targets, log_prob);
  NATIVO_CHECK(loss.empty() || loss.size() == targets.size(), "cross_entropy: one loss a row");
  NATIVO_CHECK(
      options.z_loss >= 0.0 && options.label_smoothing >= 0.0 && options.label_smoothing < 1.0,
      "cross_entropy: options out of range");
}

}  // namespace

void cross_entropy_forward(tensor::View<const float> logits, std::span<const std::int32_t> targets,
                           std::span<double> log_prob, std::span<std::int32_t> argmax) {
  check_forward(logits, targets, log_prob, argmax);
  if (on_gpu(logits)) return cuda::Classifier<float>::forward(logits, targets, log_prob, argmax);
  cpu::cross_entropy_forward(logits.data(), logits.size(0), logits.size(1), targets.data(),
                             log_prob.data(), argmax.empty() ? nullptr : argmax.data());
}

void cross_entropy_forward_backward(tensor::View<float> logits,
                                    std::span<const std::int32_t> targets,
                                    const CrossEntropy& options, std::span<double> log_prob,
                                    std::span<double> loss) {
  check_backward<float>(logits, targets, options, log_prob, loss);
  if (on_gpu(logits)) {
    return cuda::Classifier<float>::forward_backward(logits, targets, options, log_prob, loss);
  }
  cpu::cross_entropy_forward_backward(logits.data(), logits.size(0), logits.size(1), targets.data(),
                                      options, log_prob.data(),
                                      loss.empty() ? nullptr : loss.data());
}

void cross_entropy_forward(tensor::View<const tensor::bf16> logits,
                           std::span<const std::int32_t> targets, std::span<double> log_prob,
                           std::span<std::int32_t> argmax) {
  check_forward(logits, targets, log_prob, argmax);
  require_gpu(logits);
  cuda::Classifier<tensor::bf16>::forward(logits, targets, log_prob, argmax);
}

void cross_entropy_forward_backward(tensor::View<tensor::bf16> logits,
                                    std::span<const std::int32_t> targets,
                                    const CrossEntropy& options, std::span<double> log_prob,
                                    std::span<double> loss) {
  check_backward<tensor::bf16>(logits, targets, options, log_prob, loss);
  require_gpu(logits);
  cuda::Classifier<tensor::bf16>::forward_backward(logits, targets, options, log_prob, loss);
}

}  // namespace nativo::ops
