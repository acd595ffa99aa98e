#include "model/linear.h"

#include "ops/dropout.h"
#include "ops/quantized_gemm.h"

namespace nativo::model {
namespace {

tensor::View<float> hidden_of(const LinearContext& context, const LinearAdapter& adapter,
                              std::int64_t rows) {
  const std::int64_t rank = adapter.low_rank.a.size(0);
  NATIVO_CHECK(context.hidden.elements() >= rows * rank, "scratch for an adapter is too small");
  return {context.hidden.data(), {rows, rank}};
}

tensor::View<float> dropped_like(const LinearContext& context, const tensor::Shape& shape) {
  NATIVO_CHECK(context.dropped.elements() >= shape.elements(), "scratch for dropout is too small");
  return {context.dropped.data(), shape};
}

ops::DropoutKey key_of(const LinearContext& context, const LinearAdapter& adapter) {
  const LinearDropout& dropout = context.dropout;
  const auto inputs = static_cast<std::uint64_t>(adapter.low_rank.a.size(1));
  return {dropout.seed, dropout.step, adapter.number, dropout.first_token * inputs};
}

/// The adapter's input: x itself, or x behind the adapter's mask.
tensor::View<const float> input_of(const LinearContext& context, const LinearAdapter& adapter,
                                   tensor::View<const float> x) {
  if (context.dropout.p == 0.0) return x;
  const tensor::View<float> dropped = dropped_like(context, x.shape());
  ops::dropout(x, key_of(context, adapter), context.dropout.p, dropped);
  return dropped;
}

}  // namespace

void linear_forward(const Linear& layer, const LinearContext& context, tensor::View<const float> x,
                    tensor::View<float> y) {
  if (layer.is_quantized()) {
    ops::quantized_linear_forward(x, layer.quantized, context.panel, y);
  } else {
    ops::linear_forward(x, layer.weight, y);
  }
  for (const LinearAdapter& adapter : layer.adapters) {
    ops::low_rank_forward(input_of(context, adapter, x), adapter.low_rank,
                          hidden_of(context, adapter, x.size(0)), y);
  }
}

void linear_backward_input(const Linear& layer, const LinearContext& context,
                           tensor::View<const float> dy, tensor::View<float> dx) {
  if (layer.is_quantized()) {
    ops::quantized_linear_backward_input(dy, layer.quantized, context.panel, dx,
                                         ops::Write::kOverwrite);
  } else {
    ops::linear_backward_input(dy, layer.weight, dx, ops::Write::kOverwrite);
  }
  for (const LinearAdapter& adapter : layer.adapters) {
    const tensor::View<float> dhidden = hidden_of(context, adapter, dy.size(0));
    if (context.dropout.p == 0.0) {
      ops::low_rank_backward_input(dy, adapter.low_rank, dhidden, dx, ops::Write::kAccumulate);
      continue;
    }
    const tensor::View<float> ddropped = dropped_like(context, dx.shape());
    ops::low_rank_backward_input(dy, adapter.low_rank, dhidden, ddropped, ops::Write::kOverwrite);
    ops::dropout_add(ddropped, key_of(context, adapter), context.dropout.p, dx);
  }
}

void linear_backward_weight(const Linear& layer, const LinearContext& context,
                            tensor::View<const float> dy, tensor::View<const float> x,
                            tensor::View<float> dweight) {
  if (dweight.data() != nullptr) ops::linear_backward_weight(dy, x, dweight);
  for (const LinearAdapter& adapter : layer.adapters) {
    ops::low_rank_backward_weight(dy, input_of(context, adapter, x), adapter.low_rank,
                                  hidden_of(context, adapter, x.size(0)), adapter.da, adapter.db);
  }
}

}  // namespace nativo::model
