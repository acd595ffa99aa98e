// Shared by the tests of ops: f32 tensors from f64 numbers, views, threads.
#pragma once

#include <hwy/targets.h>

#include <cstdint>
#include <vector>

#include "base/parallel.h"
#include "reference/numbers.h"
#include "tensor/view.h"

namespace nativo::ops {

using reference::normal_numbers;
using reference::relative_error;
using reference::to_f32;
using tensor::Shape;
using tensor::View;

template <class T>
View<T> view(std::vector<T>& memory, const Shape& shape) {
  return View<T>(std::span<T>(memory), shape);
}

inline View<const float> view(const std::vector<float>& memory, const Shape& shape) {
  return View<const float>(std::span<const float>(memory), shape);
}

/// Runs `body` on 1, 2 and 3 threads.
template <class Body>
void on_threads(const Body& body) {
  const int before = thread_count();
  for (const int count : {1, 2, 3}) {
    set_thread_count(count);
    body(count);
  }
  set_thread_count(before);
}

/// Runs `body` with each of the instruction sets that this machine has and the kernels have a form
/// for.
template <class Body>
void on_instruction_sets(const Body& body) {
  const std::int64_t supported = hwy::SupportedTargets();
  for (std::int64_t left = supported; left != 0; left &= left - 1) {
    hwy::GetChosenTarget().Update(left & -left);
    body(hwy::TargetName(left & -left));
  }
  hwy::GetChosenTarget().Update(supported);
}

/// One operation in f32 against f64 from equal inputs: a few roundings of 6e-8.
inline constexpr double kF32Bound = 2e-6;
/// A central difference in f64 with step 1e-5: its own error.
inline constexpr double kDifference = 1e-7;

}  // namespace nativo::ops
