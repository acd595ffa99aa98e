#include "model/lora.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <type_traits>

#include "base/error.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "dist/communicator.h"
#include "model/decoder_state.h"
#include "ops/gemm.h"
#include "ops/quantized_gemm.h"
#include "tensor/device_memory.h"

namespace nativo::model {
namespace {

/// Sets the adapters' first numbers apart from all else that is drawn from the same seed.
constexpr std::uint64_t kPurpose = 0x6C6F72612D41;

/// The joined layers of a block, each with the projections whose outputs follow each other in it.
struct Joined {
  std::vector<Projection> projections;
};
const std::array<Joined, 4>& joined_layers() {
  static const std::array<Joined, 4> kJoined = {{{{Projection::kQ, Projection::kK, Projection::kV}},
                                                 {{Projection::kO}},
                                                 {{Projection::kGate, Projection::kUp}},
                                                 {{Projection::kDown}}}};
  return kJoined;
}

/// The joined layers of `layer`, in the order of joined_layers().
template <class T>
std::array<Linear<T> LayerWeights<T>::*, 4> joined_members() {
  using Layer = LayerWeights<T>;
  return {&Layer::qkv, &Layer::output, &Layer::gate_up, &Layer::down};
}

/// Calls body(layer number, joined, linear) for all joined layers, from the bottom up.
template <class Core, class Body>
void for_joined(Core& core, const Body& body) {
  using T = typename std::remove_reference_t<decltype(core.parameters.embedding)>::Element;
  const auto members = joined_members<T>();
  for (std::size_t layer = 0; layer < core.parameters.layers.size(); ++layer) {
    for (std::size_t i = 0; i < members.size(); ++i) {
      body(layer, joined_layers()[i], core.parameters.layers[layer].*members[i]);
    }
  }
}

ProjectionSize joined_size(const DecoderConfig& config, const Joined& joined) {
  ProjectionSize total;
  for (const Projection projection : joined.projections) {
    const ProjectionSize size = projection_size(config, projection);
    total.outputs += size.outputs;
    total.inputs = size.inputs;
  }
  return total;
}

/// Where the parts of each quantised matrix will lie, layer by layer.
struct QuantizedSlots {
  struct Matrix {
    tensor::ArenaPlan::Slot codes, scales, scale_codes, scale_ranges;
  };
  tensor::ArenaPlan plan;
  std::vector<Matrix> matrices;
};

QuantizedSlots quantized_slots(const DecoderConfig& config, const Quantization& quantization) {
  QuantizedSlots slots;
  if (!quantization.format) return slots;
  constexpr const char* kName = "quantised parameters";
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    for (const Joined& joined : joined_layers()) {
      const ProjectionSize size = joined_size(config, joined);
      const ops::QuantizedShapes shapes = ops::quantized_shapes(
          *quantization.format, quantization.scales, size.outputs, size.inputs);
      slots.matrices.push_back({slots.plan.add<std::uint8_t>(kName, shapes.codes),
                                slots.plan.add<float>(kName, shapes.scales),
                                slots.plan.add<std::uint8_t>(kName, shapes.scale_codes),
                                slots.plan.add<float>(kName, shapes.scale_ranges)});
    }
  }
  return slots;
}

}  // namespace

template <class T>
ProjectionPlace<T> find_projection(const DecoderConfig& config, Projection projection) {
  const auto members = joined_members<T>();
  for (std::size_t i = 0; i < members.size(); ++i) {
    std::int64_t first = 0;
    for (const Projection member : joined_layers()[i].projections) {
      if (member == projection) return {members[i], first};
      first += projection_size(config, member).outputs;
    }
  }
  NATIVO_CHECK(false, "every projection is in a layer");
  return {};
}

std::int64_t quantized_parameter_count(const DecoderConfig& config,
                                       const Quantization& quantization) {
  if (!quantization.format) return 0;
  std::int64_t count = 0;
  for (const Joined& joined : joined_layers()) {
    const ProjectionSize size = joined_size(config, joined);
    count += size.outputs * size.inputs;
  }
  return count * config.layers;
}

tensor::ArenaPlan plan_quantized(const DecoderConfig& config, const Quantization& quantization) {
  return quantized_slots(config, quantization).plan;
}

template <class T>
void allocate_quantized(TypedCore<T>& core, const Quantization& quantization) {
  core.quantized.options = quantization;
  if (!quantization.format) return;
  const QuantizedSlots slots = quantized_slots(core.config, quantization);
  tensor::Arena& memory = core.quantized.memory;
  reserve_in_common(memory, slots.plan, "the quantised parameters", core.ranks.weights);
  auto slot = slots.matrices.begin();
  for_joined(core, [&](std::size_t, const Joined& joined, Linear<T>& linear) {
    const ProjectionSize size = joined_size(core.config, joined);
    linear.quantized = {*quantization.format,
                        quantization.scales,
                        size.outputs,
                        size.inputs,
                        memory.view<std::uint8_t>(slot->codes),
                        memory.view<float>(slot->scales),
                        memory.view<std::uint8_t>(slot->scale_codes),
                        memory.view<float>(slot->scale_ranges)};
    ++slot;
  });
}

namespace {

/// The bytes of a quantised matrix on the host: codes and scales one behind the other.
struct HostQuantized {
  ops::QuantizedMatrix matrix;
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
  std::vector<std::uint8_t> scale_codes;
  std::vector<float> scale_ranges;

  /// Of the shape of `like`; its own memory.
  explicit HostQuantized(const ops::QuantizedMatrix& like) : matrix(like) {
    const auto take = [](auto& memory, auto& view) {
      memory.resize(static_cast<std::size_t>(view.elements()));
      view = {std::span(memory), view.shape()};
    };
    take(codes, matrix.codes);
    take(scales, matrix.scales);
    take(scale_codes, matrix.scale_codes);
    take(scale_ranges, matrix.scale_ranges);
  }
};

/// Calls move(from, to) for the parts of two matrices of one shape.
template <class Move>
void for_parts(const ops::QuantizedMatrix& from, const ops::QuantizedMatrix& to, const Move& move) {
  move(from.codes, to.codes);
  move(from.scales, to.scales);
  move(from.scale_codes, to.scale_codes);
  move(from.scale_ranges, to.scale_ranges);
}

/// to = quantised weight[R,C], which lies on the host, wherever `to` does.
void quantize_to(tensor::View<const float> weight, const ops::QuantizedMatrix& to) {
  if (!to.codes.device().is_cuda()) return ops::quantize(weight, to);
  const HostQuantized staged(to);
  ops::quantize(weight, staged.matrix);
  for_parts(staged.matrix, to, [](const auto& from, const auto& there) {
    if (there.elements() > 0) tensor::copy(from, there);
  });
}

/// weight[count,C] on the host = rows [first, first + count) of `from`, wherever it lies.
void dequantize_from(const ops::QuantizedMatrix& from, std::int64_t first,
                     tensor::View<float> weight) {
  if (!from.codes.device().is_cuda()) return ops::dequantize_rows(from, first, weight);
  const HostQuantized staged(from);
  for_parts(from, staged.matrix, [](const auto& there, const auto& to) {
    if (to.elements() > 0) tensor::copy(there, to);
  });
  ops::dequantize_rows(staged.matrix, first, weight);
}

}  // namespace

template <class T>
void load_quantized(TypedCore<T>& core,
                    const std::function<void(const Parameter&, std::span<float>)>& read) {
  std::map<LoraModule, const Parameter*> by_module;
  for (const Parameter& parameter : core.list) {
    if (parameter.elements() > 0) continue;
    const std::string_view name = parameter.name;
    by_module[module_from_name(name.substr(0, name.rfind('.'))).value()] = &parameter;
  }
  std::vector<float> staging;
  std::size_t index = 0;
  for_joined(core, [&](std::size_t layer, const Joined& joined, Linear<T>& linear) {
    if (!is_ours(core, index++)) return;
    const ProjectionSize total = joined_size(core.config, joined);
    staging.resize(static_cast<std::size_t>(total.outputs * total.inputs));
    std::span<float> rest(staging);
    std::string names;
    for (const Projection projection : joined.projections) {
      const Parameter& parameter = *by_module.at({static_cast<std::int64_t>(layer), projection});
      const ProjectionSize size = projection_size(core.config, projection);
      const auto elements = static_cast<std::size_t>(size.outputs * size.inputs);
      read(parameter, rest.first(elements));
      rest = rest.subspan(elements);
      names += (names.empty() ? "" : ", ") + parameter.name;
    }
    try {
      quantize_to({std::span<const float>(staging), {total.outputs, total.inputs}},
                  linear.quantized);
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("{}: {}", names, error.what()), error.hint());
    }
  });
}

template <class T>
void attach_lora(TypedCore<T>& core, const LoraConfig& lora, std::uint64_t seed) {
  NATIVO_CHECK(!core.lora && !core.has_gradients,
               "adapters are attached once, before the gradients");
  LoraState& state = core.lora.emplace();
  state.values = tensor::Arena(core.numbers.device);
  state.gradients = tensor::Arena(core.numbers.device);
  state.config = lora;
  const std::int64_t count = lora_parameter_count(lora, core.config);
  tensor::ArenaPlan plan;
  const auto slot = plan.add<T>("adapters", {count});
  state.values.reserve(plan, "the adapters");
  state.values.zero();
  const tensor::View<T> memory = state.values.view<T>(slot);
  std::int64_t next = 0;
  std::uint32_t number = 0;
  for (const LoraModule& module : lora.modules) {
    NATIVO_CHECK(module.layer >= 0 && module.layer < core.config.layers, "a layer of the model");
    const ProjectionSize size = projection_size(core.config, module.projection);
    const ProjectionPlace<T> place = find_projection<T>(core.config, module.projection);
    LayerWeights<T>& layer = core.parameters.layers[static_cast<std::size_t>(module.layer)];
    // Of a layer cut between rows B is cut and A whole; of one cut between columns the other way
    // round. The gradient of what is whole comes from all parts.
    const bool by_columns =
        module.projection == Projection::kO || module.projection == Projection::kDown;
    const std::int64_t rank = core.ranks.tensor == nullptr ? 0 : core.ranks.tensor->rank();
    const std::int64_t ranks = core.ranks.tensor == nullptr ? 1 : core.ranks.tensor->size();
    const auto add = [&](const char* which, std::int64_t rows, std::int64_t columns, bool is_cut) {
      const tensor::View<T> view(memory.data() + next, {rows, columns}, memory.device());
      TensorPart part;
      if (is_cut) {
        part = by_columns ? column_part({rows, columns}, rank, ranks)
                          : row_part({rows, columns}, rank, ranks);
      }
      part.is_summed = !is_cut && ranks > 1;
      state.list.push_back({fmt::format("base_model.model.{}.{}.weight", module.name(), which),
                            {rows, columns},
                            {},
                            {},
                            true,
                            module.layer,
                            std::move(part)});
      state.list.back().set_stored(tensor::View<T>(view.data(), {view.elements()}, view.device()));
      next += view.elements();
      return view;
    };
    const tensor::View<T> a = add("lora_A", lora.rank, size.inputs, by_columns);
    const TensorPart& part = state.list.back().part;
    const std::int64_t inputs = part.is_cut() ? part.whole[1] : size.inputs;
    Rng rng(seed ^ kPurpose, number);
    const double bound = 1.0 / std::sqrt(static_cast<double>(inputs));
    std::vector<float> drawn(static_cast<std::size_t>(a.elements()));
    draw(part, std::span(drawn),
         [&] { return static_cast<float>(bound * (2.0 * rng.uniform() - 1.0)); });
    tensor::write(drawn, state.list.back().stored);
    const auto first_input = static_cast<std::int64_t>(part.begin);
    const tensor::View<T> b = add("lora_B", size.outputs, lora.rank, !by_columns);
    (layer.*place.linear)
        .adapters.push_back({{a, b, place.first_output, static_cast<float>(lora.scale())},
                             {},
                             {},
                             number++,
                             first_input,
                             inputs});
  }
}

template <class T>
void enable_lora_gradients(TypedCore<T>& core) {
  LoraState& state = *core.lora;
  tensor::ArenaPlan plan;
  const auto slot =
      plan.add<T>("adapter gradients", {lora_parameter_count(state.config, core.config)});
  state.gradients.reserve(plan, "the adapters' gradients");
  state.gradients.zero();
  const tensor::View<T> memory = state.gradients.view<T>(slot);
  std::size_t next = 0;
  for (Parameter& parameter : state.list) {
    parameter.set_gradient(tensor::part(memory, next, parameter.elements()));
    next += parameter.elements();
  }
  for_joined(core, [&](std::size_t, const Joined&, Linear<T>& linear) {
    for (LinearAdapter<T>& adapter : linear.adapters) {
      const auto gradient = [&](std::size_t which, const tensor::View<const T>& like) {
        const tensor::AnyView& flat = state.list[2 * adapter.number + which].stored_gradient;
        return tensor::View<T>(std::get<tensor::View<T>>(flat).data(), like.shape(), like.device());
      };
      adapter.da = gradient(0, adapter.low_rank.a);
      adapter.db = gradient(1, adapter.low_rank.b);
    }
  });
  core.gradients.layers.assign(core.parameters.layers.size(), {});  // null: all frozen
}

template <class T>
void read_merged(const TypedCore<T>& core, std::size_t index, std::span<float> values) {
  const Parameter& parameter = core.list.at(index);
  if (parameter.elements() > 0) read_parameter(core, index, values);
  const std::string_view name = parameter.name;
  const auto module = module_from_name(name.substr(0, name.rfind('.')));
  if (!module || !name.ends_with(".weight")) return;
  const ProjectionSize size = projection_size(core.config, module->projection);
  const tensor::View<float> weight(values, {size.outputs, size.inputs});
  const ProjectionPlace<T> place = find_projection<T>(core.config, module->projection);
  const Linear<T>& linear =
      core.parameters.layers[static_cast<std::size_t>(module->layer)].*place.linear;
  if (linear.is_quantized()) dequantize_from(linear.quantized, place.first_output, weight);
  for (const LinearAdapter<T>& adapter : linear.adapters) {
    if (adapter.low_rank.first_output != place.first_output) continue;
    // weight += (scale B^T)^T A.
    const std::int64_t rank = adapter.low_rank.a.size(0);
    std::vector<float> a(static_cast<std::size_t>(rank * size.inputs));
    std::vector<float> b(static_cast<std::size_t>(rank * size.outputs));
    tensor::read(core.lora->list[2 * adapter.number].stored, a);
    tensor::read(core.lora->list[2 * adapter.number + 1].stored, b);
    std::vector<float> transposed(b.size());
    for (std::int64_t o = 0; o < size.outputs; ++o) {
      for (std::int64_t r = 0; r < rank; ++r) {
        transposed[static_cast<std::size_t>(r * size.outputs + o)] =
            adapter.low_rank.scale * b[static_cast<std::size_t>(o * rank + r)];
      }
    }
    ops::linear_backward_weight({std::span<const float>(transposed), {rank, size.outputs}},
                                {std::span<const float>(a), {rank, size.inputs}}, weight);
  }
}

LinearScratch linear_scratch(const DecoderConfig& config, const Quantization& quantization,
                             const LoraConfig* lora, std::int64_t rows, const Numbers& numbers) {
  const tensor::Device& device = numbers.device;
  LinearScratch scratch;
  for (const Joined& joined : joined_layers()) {
    if (!numbers.fp8 || quantization.format) break;
    const ProjectionSize size = joined_size(config, joined);
    const ops::Fp8ScratchSize needed = ops::fp8_scratch(rows, size.outputs, size.inputs);
    scratch.fp8.left = std::max(scratch.fp8.left, needed.left);
    scratch.fp8.right = std::max(scratch.fp8.right, needed.right);
  }
  if (quantization.format) {
    for (const Joined& joined : joined_layers()) {
      const ProjectionSize size = joined_size(config, joined);
      scratch.panel =
          std::max(scratch.panel, ops::quantized_linear_scratch(size.outputs, size.inputs, device));
    }
  }
  if (lora != nullptr) {
    scratch.hidden = rows * lora->rank;
    for (const LoraModule& module : lora->modules) {
      if (lora->dropout == 0.0) break;
      scratch.dropped =
          std::max(scratch.dropped, rows * projection_size(config, module.projection).inputs);
    }
  }
  return scratch;
}

template ProjectionPlace<float> find_projection(const DecoderConfig&, Projection);
template void allocate_quantized(TypedCore<float>&, const Quantization&);
template void load_quantized(TypedCore<float>&,
                             const std::function<void(const Parameter&, std::span<float>)>&);
template void attach_lora(TypedCore<float>&, const LoraConfig&, std::uint64_t);
template void enable_lora_gradients(TypedCore<float>&);
template void read_merged(const TypedCore<float>&, std::size_t, std::span<float>);

template ProjectionPlace<tensor::bf16> find_projection(const DecoderConfig&, Projection);
template void allocate_quantized(TypedCore<tensor::bf16>&, const Quantization&);
template void load_quantized(TypedCore<tensor::bf16>&,
                             const std::function<void(const Parameter&, std::span<float>)>&);
template void attach_lora(TypedCore<tensor::bf16>&, const LoraConfig&, std::uint64_t);
template void enable_lora_gradients(TypedCore<tensor::bf16>&);
template void read_merged(const TypedCore<tensor::bf16>&, std::size_t, std::span<float>);

}  // namespace nativo::model
