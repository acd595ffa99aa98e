// Panel after panel: dequantise on all threads, then one product. See the header.
#include "ops/quantized_gemm.h"

#include <algorithm>

#include "base/error.h"
#include "ops/gemm_cpu.h"

namespace nativo::ops {
namespace {

/// A panel this large keeps products at the speed of whole matrices: what a panel costs once, it
/// packs or copies, is small beside what its rows multiply.
constexpr std::int64_t kPanelWeights = std::int64_t{1} << 20;
constexpr std::int64_t kLeastPanelRows = 64;

std::int64_t panel_rows(std::int64_t outputs, std::int64_t inputs) {
  const std::int64_t rows = kPanelWeights / std::max<std::int64_t>(inputs, 1);
  return std::min(outputs, std::max(rows / kLeastPanelRows * kLeastPanelRows, kLeastPanelRows));
}

void check(tensor::View<const float> rows_out, tensor::View<const float> rows_in,
           const QuantizedMatrix& weight, tensor::View<float> scratch) {
  NATIVO_CHECK(rows_out.shape().rank() == 2 && rows_in.shape().rank() == 2,
               "linear takes matrices");
  NATIVO_CHECK(rows_out.size(0) == rows_in.size(0), "linear: rows differ");
  NATIVO_CHECK(rows_out.size(1) == weight.rows, "linear: outputs differ");
  NATIVO_CHECK(rows_in.size(1) == weight.columns, "linear: inputs differ");
  NATIVO_CHECK(scratch.elements() >= quantized_linear_scratch(weight.rows, weight.columns),
               "linear: scratch for a panel is too small");
}

/// Calls body(first, count, panel) for each panel of rows, dequantised.
template <class Body>
void for_panels(const QuantizedMatrix& weight, tensor::View<float> scratch, const Body& body) {
  const std::int64_t step = panel_rows(weight.rows, weight.columns);
  for (std::int64_t first = 0; first < weight.rows; first += step) {
    const std::int64_t count = std::min(step, weight.rows - first);
    dequantize_rows(weight, first, tensor::View<float>(scratch.data(), {count, weight.columns}));
    body(first, count, scratch.data());
  }
}

}  // namespace

std::int64_t quantized_linear_scratch(std::int64_t outputs, std::int64_t inputs) {
  return panel_rows(outputs, inputs) * inputs;
}

void quantized_linear_forward(tensor::View<const float> x, const QuantizedMatrix& weight,
                              tensor::View<float> scratch, tensor::View<float> y) {
  check(y, x, weight, scratch);
  const std::int64_t inputs = weight.columns;
  for_panels(weight, scratch, [&](std::int64_t first, std::int64_t count, const float* panel) {
    cpu::gemm({'N', 'T', x.size(0), count, inputs, x.data(), inputs, panel, inputs, 0.0F,
               y.data() + first, weight.rows});
  });
}

void quantized_linear_backward_input(tensor::View<const float> dy, const QuantizedMatrix& weight,
                                     tensor::View<float> scratch, tensor::View<float> dx,
                                     Write write) {
  check(dy, dx, weight, scratch);
  const std::int64_t inputs = weight.columns;
  if (weight.rows == 0 && write == Write::kOverwrite) {
    std::fill(dx.span().begin(), dx.span().end(), 0.0F);
  }
  for_panels(weight, scratch, [&](std::int64_t first, std::int64_t count, const float* panel) {
    const bool adds = first > 0 || write == Write::kAccumulate;
    cpu::gemm({'N', 'N', dy.size(0), inputs, count, dy.data() + first, weight.rows, panel, inputs,
               adds ? 1.0F : 0.0F, dx.data(), inputs});
  });
}

}  // namespace nativo::ops
