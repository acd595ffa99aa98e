// Products with one side as thin as the rank. See the header.
#include "ops/low_rank.h"

#include "base/error.h"
#include "ops/gemm_cpu.h"

namespace nativo::ops {
namespace {

void check(const LowRank& adapter, tensor::View<const float> rows_out,
           tensor::View<const float> rows_in, tensor::View<const float> hidden) {
  NATIVO_CHECK(rows_out.shape().rank() == 2 && rows_in.shape().rank() == 2 &&
                   adapter.a.shape().rank() == 2 && adapter.b.shape().rank() == 2,
               "low rank: matrices");
  NATIVO_CHECK(rows_out.size(0) == rows_in.size(0), "low rank: rows differ");
  NATIVO_CHECK(adapter.a.size(0) == adapter.b.size(1), "low rank: A and B have different ranks");
  NATIVO_CHECK(adapter.a.size(1) == rows_in.size(1), "low rank: inputs differ");
  NATIVO_CHECK(
      adapter.first_output >= 0 && adapter.first_output + adapter.b.size(0) <= rows_out.size(1),
      "low rank: outputs outside the layer's");
  NATIVO_CHECK(hidden.shape() == tensor::Shape({rows_in.size(0), adapter.a.size(0)}),
               "low rank: scratch of another shape");
}

void multiply(tensor::View<float> values, float factor) {
  for (float& value : values.span()) value *= factor;
}

/// hidden = scale x A^T.
void down(tensor::View<const float> x, const LowRank& adapter, tensor::View<float> hidden) {
  const std::int64_t rank = adapter.a.size(0);
  const std::int64_t inputs = adapter.a.size(1);
  cpu::gemm({'N', 'T', x.size(0), rank, inputs, x.data(), inputs, adapter.a.data(), inputs, 0.0F,
             hidden.data(), rank});
  multiply(hidden, adapter.scale);
}

/// dhidden = scale dy B.
void up_backward(tensor::View<const float> dy, const LowRank& adapter,
                 tensor::View<float> dhidden) {
  const std::int64_t rank = adapter.a.size(0);
  cpu::gemm({'N', 'N', dy.size(0), rank, adapter.b.size(0), dy.data() + adapter.first_output,
             dy.size(1), adapter.b.data(), rank, 0.0F, dhidden.data(), rank});
  multiply(dhidden, adapter.scale);
}

}  // namespace

void low_rank_forward(tensor::View<const float> x, const LowRank& adapter,
                      tensor::View<float> hidden, tensor::View<float> y) {
  check(adapter, y, x, hidden);
  down(x, adapter, hidden);
  const std::int64_t rank = adapter.a.size(0);
  cpu::gemm({'N', 'T', x.size(0), adapter.b.size(0), rank, hidden.data(), rank, adapter.b.data(),
             rank, 1.0F, y.data() + adapter.first_output, y.size(1)});
}

void low_rank_backward_input(tensor::View<const float> dy, const LowRank& adapter,
                             tensor::View<float> dhidden, tensor::View<float> dx, Write write) {
  check(adapter, dy, dx, dhidden);
  up_backward(dy, adapter, dhidden);
  const std::int64_t rank = adapter.a.size(0);
  const std::int64_t inputs = adapter.a.size(1);
  cpu::gemm({'N', 'N', dx.size(0), inputs, rank, dhidden.data(), rank, adapter.a.data(), inputs,
             write == Write::kAccumulate ? 1.0F : 0.0F, dx.data(), inputs});
}

void low_rank_backward_weight(tensor::View<const float> dy, tensor::View<const float> x,
                              const LowRank& adapter, tensor::View<float> hidden,
                              tensor::View<float> da, tensor::View<float> db) {
  check(adapter, dy, x, hidden);
  NATIVO_CHECK(da.shape() == adapter.a.shape() && db.shape() == adapter.b.shape(),
               "low rank: a gradient has its parameter's shape");
  const std::int64_t rank = adapter.a.size(0);
  const std::int64_t inputs = adapter.a.size(1);
  const std::int64_t outputs = adapter.b.size(0);
  const std::int64_t rows = x.size(0);
  down(x, adapter, hidden);
  cpu::gemm({'T', 'N', outputs, rank, rows, dy.data() + adapter.first_output, dy.size(1),
             hidden.data(), rank, 1.0F, db.data(), rank});
  up_backward(dy, adapter, hidden);
  cpu::gemm({'T', 'N', rank, inputs, rows, hidden.data(), rank, x.data(), inputs, 1.0F, da.data(),
             inputs});
}

}  // namespace nativo::ops
