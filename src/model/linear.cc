#include "model/linear.h"

#include "ops/dropout.h"
#include "ops/elementwise.h"
#include "ops/quantized_gemm.h"

namespace nativo::model {
namespace {

template <class T>
tensor::View<T> hidden_of(const LinearContext<T>& context, const LinearAdapter<T>& adapter,
                          std::int64_t rows) {
  const std::int64_t rank = adapter.low_rank.a.size(0);
  NATIVO_CHECK(context.hidden.elements() >= rows * rank, "scratch for an adapter is too small");
  return {context.hidden.data(), {rows, rank}, context.hidden.device()};
}

template <class T>
tensor::View<T> dropped_like(const LinearContext<T>& context, const tensor::Shape& shape) {
  NATIVO_CHECK(context.dropped.elements() >= shape.elements(), "scratch for dropout is too small");
  return {context.dropped.data(), shape, context.dropped.device()};
}

bool uses_fp8(const ops::Fp8Scratch& scratch, std::int64_t rows, const tensor::Shape& weight) {
  return scratch.left.data() != nullptr && ops::fp8_fits(rows, weight[0], weight[1]);
}

/// The three products of a dense layer, in FP8 where the pass has scratch for it.
template <class T>
void dense_forward(const ops::Fp8Scratch& fp8, tensor::View<const T> x,
                   tensor::View<const T> weight, tensor::View<T> y) {
  if constexpr (std::is_same_v<T, tensor::bf16>) {
    if (uses_fp8(fp8, x.size(0), weight.shape())) {
      return ops::fp8_linear_forward(x, weight, fp8, y);
    }
  }
  ops::linear_forward(x, weight, y);
}
template <class T>
void dense_backward_input(const ops::Fp8Scratch& fp8, tensor::View<const T> dy,
                          tensor::View<const T> weight, tensor::View<T> dx) {
  if constexpr (std::is_same_v<T, tensor::bf16>) {
    if (uses_fp8(fp8, dy.size(0), weight.shape())) {
      return ops::fp8_linear_backward_input(dy, weight, fp8, dx);
    }
  }
  ops::linear_backward_input(dy, weight, dx, ops::Write::kOverwrite);
}
template <class T>
void dense_backward_weight(const ops::Fp8Scratch& fp8, tensor::View<const T> dy,
                           tensor::View<const T> x, tensor::View<T> dweight) {
  if constexpr (std::is_same_v<T, tensor::bf16>) {
    if (uses_fp8(fp8, dy.size(0), dweight.shape())) {
      return ops::fp8_linear_backward_weight(dy, x, fp8, dweight);
    }
  }
  ops::linear_backward_weight(dy, x, dweight);
}

/// Calls body(first token, tokens, key of the mask) for each row of the batch.
template <class T, class Body>
void for_rows(const LinearContext<T>& context, const LinearAdapter<T>& adapter, std::int64_t tokens,
              const Body& body) {
  const LinearDropout& dropout = context.dropout;
  const std::int64_t length = tokens / dropout.rows;
  const std::int64_t columns = adapter.low_rank.a.size(1);
  const auto key_at = [&](std::int64_t row, std::int64_t position) {
    ops::RandomKey key = ops::row_key(dropout.seed, dropout.step, adapter.number,
                                      dropout.first_row + row, position, adapter.inputs);
    key.first_element += static_cast<std::uint64_t>(adapter.first_input);
    return key;
  };
  // Some of the columns alone: a token at a time, as the mask's numbers jump between them.
  for (std::int64_t token = 0; token < tokens && columns != adapter.inputs; ++token) {
    body(token, 1, key_at(token / length, token % length));
  }
  if (columns != adapter.inputs) return;
  for (std::int64_t row = 0; row < dropout.rows; ++row) {
    body(row * length, length, key_at(row, 0));
  }
}

/// The adapter's input: x itself, or x behind the adapter's mask.
template <class T>
tensor::View<const T> input_of(const LinearContext<T>& context, const LinearAdapter<T>& adapter,
                               tensor::View<const T> x) {
  if (context.dropout.p == 0.0) return x;
  const tensor::View<T> dropped = dropped_like(context, x.shape());
  for_rows(context, adapter, x.size(0),
           [&](std::int64_t first, std::int64_t count, const ops::RandomKey& key) {
             ops::dropout(x.rows(first, count), key, context.dropout.p, dropped.rows(first, count));
           });
  return dropped;
}

}  // namespace

template <class T>
void linear_forward(const Linear<T>& layer, const LinearContext<T>& context,
                    std::type_identity_t<tensor::View<const T>> x, tensor::View<T> y) {
  if (layer.is_quantized()) {
    ops::quantized_linear_forward(x, layer.quantized, context.panel, y);
  } else {
    dense_forward<T>(context.fp8, x, layer.weight, y);
  }
  if (layer.bias.data() != nullptr) ops::add_bias(y, layer.bias);
  for (const LinearAdapter<T>& adapter : layer.adapters) {
    ops::low_rank_forward(input_of(context, adapter, x), adapter.low_rank,
                          hidden_of(context, adapter, x.size(0)), y);
  }
}

template <class T>
void linear_backward_input(const Linear<T>& layer, const LinearContext<T>& context,
                           std::type_identity_t<tensor::View<const T>> dy, tensor::View<T> dx) {
  if (layer.is_quantized()) {
    ops::quantized_linear_backward_input(dy, layer.quantized, context.panel, dx,
                                         ops::Write::kOverwrite);
  } else {
    dense_backward_input<T>(context.fp8, dy, layer.weight, dx);
  }
  for (const LinearAdapter<T>& adapter : layer.adapters) {
    const tensor::View<T> dhidden = hidden_of(context, adapter, dy.size(0));
    if (context.dropout.p == 0.0) {
      ops::low_rank_backward_input(dy, adapter.low_rank, dhidden, dx, ops::Write::kAccumulate);
      continue;
    }
    const tensor::View<T> ddropped = dropped_like(context, dx.shape());
    ops::low_rank_backward_input(dy, adapter.low_rank, dhidden, ddropped, ops::Write::kOverwrite);
    for_rows(context, adapter, dx.size(0),
             [&](std::int64_t first, std::int64_t count, const ops::RandomKey& key) {
               ops::dropout_add(ddropped.rows(first, count), key, context.dropout.p,
                                dx.rows(first, count));
             });
  }
}

template <class T>
void linear_backward_weight(const Linear<T>& layer, const LinearContext<T>& context,
                            std::type_identity_t<tensor::View<const T>> dy,
                            std::type_identity_t<tensor::View<const T>> x,
                            const LinearGradient<T>& gradient) {
  if (gradient.weight.data() != nullptr) {
    dense_backward_weight<T>(context.fp8, dy, x, gradient.weight);
  }
  if (gradient.bias.data() != nullptr) ops::bias_backward(dy, gradient.bias);
  for (const LinearAdapter<T>& adapter : layer.adapters) {
    ops::low_rank_backward_weight(dy, input_of(context, adapter, x), adapter.low_rank,
                                  hidden_of(context, adapter, x.size(0)), adapter.da, adapter.db);
  }
}

template void linear_forward(const Linear<float>&, const LinearContext<float>&,
                             tensor::View<const float>, tensor::View<float>);
template void linear_backward_input(const Linear<float>&, const LinearContext<float>&,
                                    tensor::View<const float>, tensor::View<float>);
template void linear_backward_weight(const Linear<float>&, const LinearContext<float>&,
                                     tensor::View<const float>, tensor::View<const float>,
                                     const LinearGradient<float>&);

template void linear_forward(const Linear<tensor::bf16>&, const LinearContext<tensor::bf16>&,
                             tensor::View<const tensor::bf16>, tensor::View<tensor::bf16>);
template void linear_backward_input(const Linear<tensor::bf16>&, const LinearContext<tensor::bf16>&,
                                    tensor::View<const tensor::bf16>, tensor::View<tensor::bf16>);
template void linear_backward_weight(const Linear<tensor::bf16>&,
                                     const LinearContext<tensor::bf16>&,
                                     tensor::View<const tensor::bf16>,
                                     tensor::View<const tensor::bf16>,
                                     const LinearGradient<tensor::bf16>&);

}  // namespace nativo::model
