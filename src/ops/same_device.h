// Where an op's memory lies: all of it on one device. Not for other folders.
#pragma once

#include "base/error.h"
#include "tensor/view.h"

namespace nativo::ops {

/// True when the views lie on a GPU; all that are not null must lie on the same device.
template <class First, class... Others>
[[nodiscard]] bool on_gpu(const First& first, const Others&... others) {
  NATIVO_CHECK(((others.data() == nullptr || others.device() == first.device()) && ...),
               "an op's tensors lie on different devices");
  return first.device().is_cuda();
}

/// For ops on bf16, which the CPU stores but does not compute with.
template <class... Views>
void require_gpu(const Views&... views) {
  NATIVO_CHECK(on_gpu(views...), "arithmetic in bf16 is a GPU's");
}

}  // namespace nativo::ops
