// Plain SwiGLU in f64. The law for ops/swiglu.h.
#pragma once

#include <cmath>
#include <cstddef>

#include "reference/linear.h"

namespace nativo::reference {

inline double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

inline Numbers swiglu(const Numbers& gate_up, std::size_t columns) {
  Numbers act(gate_up.size() / 2);
  for (std::size_t i = 0; i < act.size(); ++i) {
    const double* row = &gate_up[i / columns * 2 * columns];
    const double gate = row[i % columns];
    act[i] = gate * sigmoid(gate) * row[columns + i % columns];
  }
  return act;
}

inline Numbers swiglu_backward(const Numbers& gate_up, const Numbers& dact, std::size_t columns) {
  Numbers gradient(gate_up.size());
  for (std::size_t i = 0; i < dact.size(); ++i) {
    const std::size_t at = i / columns * 2 * columns + i % columns;
    const double gate = gate_up[at];
    const double s = sigmoid(gate);
    gradient[at] = dact[i] * gate_up[at + columns] * s * (1.0 + gate * (1.0 - s));
    gradient[at + columns] = dact[i] * gate * s;
  }
  return gradient;
}

}  // namespace nativo::reference
