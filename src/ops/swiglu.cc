// Checks shapes, then calls the CPU kernels.
#include "ops/swiglu.h"

#include "base/error.h"
#include "ops/swiglu_cpu.h"

namespace nativo::ops {
namespace {

void check(tensor::View<const float> gate_up, tensor::View<const float> act) {
  NATIVO_CHECK(
      act.shape().rank() == 2 && gate_up.shape() == (tensor::Shape{act.size(0), 2 * act.size(1)}),
      "swiglu: gate_up is not [N,2F]");
}

}  // namespace

void swiglu_forward(tensor::View<const float> gate_up, tensor::View<float> act) {
  check(gate_up, act);
  cpu::swiglu_forward(gate_up.data(), act.size(0), act.size(1), act.data());
}

void swiglu_backward(tensor::View<float> gate_up, tensor::View<float> dact) {
  check(gate_up, dact);
  cpu::swiglu_backward(gate_up.data(), dact.size(0), dact.size(1), dact.data());
}

}  // namespace nativo::ops
