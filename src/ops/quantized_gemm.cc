// Panel after panel: dequantise, then one product. See the header.
#include "ops/quantized_gemm.h"

#include <algorithm>

#include "base/error.h"
#include "ops/elementwise.h"
#include "ops/product.h"
#include "ops/same_device.h"

namespace nativo::ops {
namespace {

using tensor::bf16;
using tensor::View;

/// A panel this large keeps products at the speed of whole matrices: what a panel costs once, it
/// packs or copies, is small beside what its rows multiply.
constexpr std::int64_t kPanelWeights = std::int64_t{1} << 20;
constexpr std::int64_t kGpuPanels = 16;
constexpr std::int64_t kLeastPanelRows = 64;

std::int64_t panel_rows(std::int64_t outputs, std::int64_t inputs, const tensor::Device& device) {
  const std::int64_t weights = kPanelWeights * (device.is_cuda() ? kGpuPanels : 1);
  const std::int64_t rows = weights / std::max<std::int64_t>(inputs, 1);
  return std::min(outputs, std::max(rows / kLeastPanelRows * kLeastPanelRows, kLeastPanelRows));
}

template <class T>
void check(View<const T> rows_out, View<const T> rows_in, const QuantizedMatrix& weight,
           View<T> scratch) {
  NATIVO_CHECK(rows_out.shape().rank() == 2 && rows_in.shape().rank() == 2,
               "linear takes matrices");
  NATIVO_CHECK(rows_out.size(0) == rows_in.size(0), "linear: rows differ");
  NATIVO_CHECK(rows_out.size(1) == weight.rows, "linear: outputs differ");
  NATIVO_CHECK(rows_in.size(1) == weight.columns, "linear: inputs differ");
  const bool gpu = on_gpu(rows_out, rows_in, scratch, weight.codes);
  NATIVO_CHECK(gpu || sizeof(T) == sizeof(float), "arithmetic in bf16 is a GPU's");
  NATIVO_CHECK(
      scratch.elements() >= quantized_linear_scratch(weight.rows, weight.columns, scratch.device()),
      "linear: scratch for a panel is too small");
}

/// Calls body(first, count, panel) for each panel of rows, dequantised.
template <class T, class Body>
void for_panels(const QuantizedMatrix& weight, View<T> scratch, const Body& body) {
  const std::int64_t step = panel_rows(weight.rows, weight.columns, scratch.device());
  for (std::int64_t first = 0; first < weight.rows; first += step) {
    const std::int64_t count = std::min(step, weight.rows - first);
    dequantize_rows(weight, first,
                    View<T>(scratch.data(), {count, weight.columns}, scratch.device()));
    body(first, count, scratch.data());
  }
}

template <class T>
void forward(View<const T> x, const QuantizedMatrix& weight, View<T> scratch, View<T> y) {
  check<T>(y, x, weight, scratch);
  const std::int64_t inputs = weight.columns;
  for_panels(weight, scratch, [&](std::int64_t first, std::int64_t count, const T* panel) {
    multiply<T>(y.device(), {'N', 'T', x.size(0), count, inputs, x.data(), inputs, panel, inputs,
                             y.data() + first, weight.rows});
  });
}

template <class T>
void backward_input(View<const T> dy, const QuantizedMatrix& weight, View<T> scratch, View<T> dx,
                    Write write) {
  check<T>(dy, dx, weight, scratch);
  const std::int64_t inputs = weight.columns;
  if (weight.rows == 0 && write == Write::kOverwrite) set_zero(dx);
  for_panels(weight, scratch, [&](std::int64_t first, std::int64_t count, const T* panel) {
    const bool adds = first > 0 || write == Write::kAccumulate;
    multiply<T>(dx.device(), {'N', 'N', dy.size(0), inputs, count, dy.data() + first, weight.rows,
                              panel, inputs, dx.data(), inputs, 1.0F, adds ? 1.0F : 0.0F});
  });
}

}  // namespace

std::int64_t quantized_linear_scratch(std::int64_t outputs, std::int64_t inputs,
                                      const tensor::Device& device) {
  return panel_rows(outputs, inputs, device) * inputs;
}

void quantized_linear_forward(View<const float> x, const QuantizedMatrix& weight,
                              View<float> scratch, View<float> y) {
  forward(x, weight, scratch, y);
}

void quantized_linear_backward_input(View<const float> dy, const QuantizedMatrix& weight,
                                     View<float> scratch, View<float> dx, Write write) {
  backward_input(dy, weight, scratch, dx, write);
}

void quantized_linear_forward(View<const bf16> x, const QuantizedMatrix& weight, View<bf16> scratch,
                              View<bf16> y) {
  forward(x, weight, scratch, y);
}

void quantized_linear_backward_input(View<const bf16> dy, const QuantizedMatrix& weight,
                                     View<bf16> scratch, View<bf16> dx, Write write) {
  backward_input(dy, weight, scratch, dx, write);
}

}  // namespace nativo::ops
