// Products with one side as thin as the rank. See the header.
#include "ops/low_rank.h"

#include "base/error.h"
#include "ops/product.h"
#include "ops/same_device.h"

namespace nativo::ops {
namespace {

using tensor::bf16;
using tensor::View;

template <class T>
void check(const LowRankOf<T>& adapter, View<const T> rows_out, View<const T> rows_in,
           View<const T> hidden) {
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
  const bool gpu = on_gpu(rows_out, rows_in, hidden, adapter.a, adapter.b);
  NATIVO_CHECK(gpu || sizeof(T) == sizeof(float), "arithmetic in bf16 is a GPU's");
}

/// hidden = scale x A^T.
template <class T>
void down(View<const T> x, const LowRankOf<T>& adapter, View<T> hidden) {
  const std::int64_t rank = adapter.a.size(0);
  const std::int64_t inputs = adapter.a.size(1);
  multiply<T>(x.device(), {'N', 'T', x.size(0), rank, inputs, x.data(), inputs, adapter.a.data(),
                           inputs, hidden.data(), rank, adapter.scale});
}

/// dhidden = scale dy B.
template <class T>
void up_backward(View<const T> dy, const LowRankOf<T>& adapter, View<T> dhidden) {
  const std::int64_t rank = adapter.a.size(0);
  multiply<T>(dy.device(),
              {'N', 'N', dy.size(0), rank, adapter.b.size(0), dy.data() + adapter.first_output,
               dy.size(1), adapter.b.data(), rank, dhidden.data(), rank, adapter.scale});
}

template <class T>
void forward(View<const T> x, const LowRankOf<T>& adapter, View<T> hidden, View<T> y) {
  check<T>(adapter, y, x, hidden);
  down(x, adapter, hidden);
  const std::int64_t rank = adapter.a.size(0);
  multiply<T>(x.device(),
              {'N', 'T', x.size(0), adapter.b.size(0), rank, hidden.data(), rank, adapter.b.data(),
               rank, y.data() + adapter.first_output, y.size(1), 1.0F, 1.0F});
}

template <class T>
void backward_input(View<const T> dy, const LowRankOf<T>& adapter, View<T> dhidden, View<T> dx,
                    Write write) {
  check<T>(adapter, dy, dx, dhidden);
  up_backward(dy, adapter, dhidden);
  const std::int64_t rank = adapter.a.size(0);
  const std::int64_t inputs = adapter.a.size(1);
  multiply<T>(dy.device(),
              {'N', 'N', dx.size(0), inputs, rank, dhidden.data(), rank, adapter.a.data(), inputs,
               dx.data(), inputs, 1.0F, write == Write::kAccumulate ? 1.0F : 0.0F});
}

template <class T>
void backward_weight(View<const T> dy, View<const T> x, const LowRankOf<T>& adapter, View<T> hidden,
                     View<T> da, View<T> db) {
  check<T>(adapter, dy, x, hidden);
  NATIVO_CHECK(da.shape() == adapter.a.shape() && db.shape() == adapter.b.shape(),
               "low rank: a gradient has its parameter's shape");
  const std::int64_t rank = adapter.a.size(0);
  const std::int64_t inputs = adapter.a.size(1);
  const std::int64_t outputs = adapter.b.size(0);
  const std::int64_t rows = x.size(0);
  down(x, adapter, hidden);
  multiply<T>(dy.device(), {'T', 'N', outputs, rank, rows, dy.data() + adapter.first_output,
                            dy.size(1), hidden.data(), rank, db.data(), rank, 1.0F, 1.0F});
  up_backward(dy, adapter, hidden);
  multiply<T>(dy.device(), {'T', 'N', rank, inputs, rows, hidden.data(), rank, x.data(), inputs,
                            da.data(), inputs, 1.0F, 1.0F});
}

}  // namespace

void low_rank_forward(View<const float> x, const LowRank& adapter, View<float> hidden,
                      View<float> y) {
  forward(x, adapter, hidden, y);
}
void low_rank_backward_input(View<const float> dy, const LowRank& adapter, View<float> dhidden,
                             View<float> dx, Write write) {
  backward_input(dy, adapter, dhidden, dx, write);
}
void low_rank_backward_weight(View<const float> dy, View<const float> x, const LowRank& adapter,
                              View<float> hidden, View<float> da, View<float> db) {
  backward_weight(dy, x, adapter, hidden, da, db);
}

void low_rank_forward(View<const bf16> x, const LowRankOf<bf16>& adapter, View<bf16> hidden,
                      View<bf16> y) {
  forward(x, adapter, hidden, y);
}
void low_rank_backward_input(View<const bf16> dy, const LowRankOf<bf16>& adapter,
                             View<bf16> dhidden, View<bf16> dx, Write write) {
  backward_input(dy, adapter, dhidden, dx, write);
}
void low_rank_backward_weight(View<const bf16> dy, View<const bf16> x,
                              const LowRankOf<bf16>& adapter, View<bf16> hidden, View<bf16> da,
                              View<bf16> db) {
  backward_weight(dy, x, adapter, hidden, da, db);
}

}  // namespace nativo::ops
