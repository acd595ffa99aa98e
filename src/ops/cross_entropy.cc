// Checks shapes, then calls the CPU kernels.
#include "ops/cross_entropy.h"

#include "base/error.h"
#include "ops/cross_entropy_cpu.h"

namespace nativo::ops {
namespace {

void check(tensor::View<const float> logits, std::span<const std::int32_t> targets,
           std::span<const double> log_prob) {
  NATIVO_CHECK(logits.shape().rank() == 2 && logits.size(1) > 0,
               "cross_entropy takes logits [n,V]");
  NATIVO_CHECK(static_cast<std::int64_t>(targets.size()) == logits.size(0) &&
                   log_prob.size() == targets.size(),
               "cross_entropy: one target and one result a row");
}

}  // namespace

void cross_entropy_forward(tensor::View<const float> logits, std::span<const std::int32_t> targets,
                           std::span<double> log_prob, std::span<std::int32_t> argmax) {
  check(logits, targets, log_prob);
  NATIVO_CHECK(argmax.empty() || argmax.size() == targets.size(),
               "cross_entropy: one argmax a row");
  cpu::cross_entropy_forward(logits.data(), logits.size(0), logits.size(1), targets.data(),
                             log_prob.data(), argmax.empty() ? nullptr : argmax.data());
}

void cross_entropy_forward_backward(tensor::View<float> logits,
                                    std::span<const std::int32_t> targets,
                                    const CrossEntropy& options, std::span<double> log_prob,
                                    std::span<double> loss) {
  check(logits, targets, log_prob);
  NATIVO_CHECK(loss.empty() || loss.size() == targets.size(), "cross_entropy: one loss a row");
  NATIVO_CHECK(
      options.z_loss >= 0.0 && options.label_smoothing >= 0.0 && options.label_smoothing < 1.0,
      "cross_entropy: options out of range");
  cpu::cross_entropy_forward_backward(logits.data(), logits.size(0), logits.size(1), targets.data(),
                                      options, log_prob.data(),
                                      loss.empty() ? nullptr : loss.data());
}

}  // namespace nativo::ops
