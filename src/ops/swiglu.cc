// Checks shapes, then calls the device's kernels.
#include "ops/swiglu.h"

#include "base/error.h"
#include "ops/cuda/ops.h"
#include "ops/same_device.h"
#include "ops/swiglu_cpu.h"

namespace nativo::ops {
namespace {

template <class T>
void check(tensor::View<T> gate_up, tensor::View<const std::remove_const_t<T>> act) {
  NATIVO_CHECK(
      act.shape().rank() == 2 && gate_up.shape() == (tensor::Shape{act.size(0), 2 * act.size(1)}),
      "swiglu: gate_up is not [N,2F]");
}

}  // namespace

void swiglu_forward(tensor::View<const float> gate_up, tensor::View<float> act) {
  check(gate_up, act);
  if (on_gpu(gate_up, act)) return cuda::Activations<float>::swiglu_forward(gate_up, act);
  cpu::swiglu_forward(gate_up.data(), act.size(0), act.size(1), act.data());
}

void swiglu_backward(tensor::View<float> gate_up, tensor::View<float> dact) {
  check(gate_up, dact);
  if (on_gpu(gate_up, dact)) return cuda::Activations<float>::swiglu_backward(gate_up, dact);
  cpu::swiglu_backward(gate_up.data(), dact.size(0), dact.size(1), dact.data());
}

void swiglu_forward(tensor::View<const tensor::bf16> gate_up, tensor::View<tensor::bf16> act) {
  check(gate_up, act);
  require_gpu(gate_up, act);
  cuda::Activations<tensor::bf16>::swiglu_forward(gate_up, act);
}

void swiglu_backward(tensor::View<tensor::bf16> gate_up, tensor::View<tensor::bf16> dact) {
  check(gate_up, dact);
  require_gpu(gate_up, dact);
  cuda::Activations<tensor::bf16>::swiglu_backward(gate_up, dact);
}

}  // namespace nativo::ops
