#include "model/lora.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "dist/communicator.h"
#include "model/decoder_state.h"
#include "ops/gemm.h"
#include "ops/quantized_gemm.h"

namespace nativo::model {
namespace {

/// Sets the adapters' first numbers apart from all else that is drawn from the same seed.
constexpr std::uint64_t kPurpose = 0x6C6F72612D41;

/// The joined layers of a block, each with the projections whose outputs follow each other in it.
struct Joined {
  Linear LayerWeights::*linear;
  std::vector<Projection> projections;
};
const std::array<Joined, 4>& joined_layers() {
  static const std::array<Joined, 4> kJoined = {
      {{&LayerWeights::qkv, {Projection::kQ, Projection::kK, Projection::kV}},
       {&LayerWeights::output, {Projection::kO}},
       {&LayerWeights::gate_up, {Projection::kGate, Projection::kUp}},
       {&LayerWeights::down, {Projection::kDown}}}};
  return kJoined;
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

ProjectionPlace find_projection(const DecoderConfig& config, Projection projection) {
  for (const Joined& joined : joined_layers()) {
    std::int64_t first = 0;
    for (const Projection member : joined.projections) {
      if (member == projection) return {joined.linear, first};
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

void allocate_quantized(DecoderCore& core, const Quantization& quantization) {
  core.quantized.options = quantization;
  if (!quantization.format) return;
  const QuantizedSlots slots = quantized_slots(core.config, quantization);
  tensor::Arena& memory = core.quantized.memory;
  reserve_in_common(memory, slots.plan, "the quantised parameters", core.ranks.weights);
  auto slot = slots.matrices.begin();
  for (LayerWeights& layer : core.parameters.layers) {
    for (const Joined& joined : joined_layers()) {
      const ProjectionSize size = joined_size(core.config, joined);
      (layer.*joined.linear).quantized = {*quantization.format,
                                          quantization.scales,
                                          size.outputs,
                                          size.inputs,
                                          memory.view<std::uint8_t>(slot->codes),
                                          memory.view<float>(slot->scales),
                                          memory.view<std::uint8_t>(slot->scale_codes),
                                          memory.view<float>(slot->scale_ranges)};
      ++slot;
    }
  }
}

void load_quantized(DecoderCore& core,
                    const std::function<void(const Parameter&, std::span<float>)>& read) {
  std::map<LoraModule, const Parameter*> by_module;
  for (const Parameter& parameter : core.list) {
    if (!parameter.value.empty()) continue;
    const std::string_view name = parameter.name;
    by_module[module_from_name(name.substr(0, name.rfind('.'))).value()] = &parameter;
  }
  std::vector<float> staging;
  std::size_t index = 0;
  for (std::size_t layer = 0; layer < core.parameters.layers.size(); ++layer) {
    for (const Joined& joined : joined_layers()) {
      if (!is_ours(core, index++)) continue;
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
        ops::quantize({std::span<const float>(staging), {total.outputs, total.inputs}},
                      (core.parameters.layers[layer].*joined.linear).quantized);
      } catch (const Error& error) {
        throw Error(error.code(), fmt::format("{}: {}", names, error.what()), error.hint());
      }
    }
  }
}

void attach_lora(DecoderCore& core, const LoraConfig& lora, std::uint64_t seed) {
  NATIVO_CHECK(!core.lora && core.gradients.layers.empty(),
               "adapters are attached once, before the gradients");
  LoraState& state = core.lora.emplace();
  state.config = lora;
  const std::int64_t count = lora_parameter_count(lora, core.config);
  tensor::ArenaPlan plan;
  const auto slot = plan.add<float>("adapters", {count});
  state.values.reserve(plan, "the adapters");
  state.values.zero();
  float* next = state.values.view<float>(slot).data();
  std::uint32_t number = 0;
  for (const LoraModule& module : lora.modules) {
    NATIVO_CHECK(module.layer >= 0 && module.layer < core.config.layers, "a layer of the model");
    const ProjectionSize size = projection_size(core.config, module.projection);
    const ProjectionPlace place = find_projection(core.config, module.projection);
    LayerWeights& layer = core.parameters.layers[static_cast<std::size_t>(module.layer)];
    // Of a layer cut between rows B is cut and A whole; of one cut between columns the other way
    // round. The gradient of what is whole comes from all parts.
    const bool by_columns =
        module.projection == Projection::kO || module.projection == Projection::kDown;
    const std::int64_t rank = core.ranks.tensor == nullptr ? 0 : core.ranks.tensor->rank();
    const std::int64_t ranks = core.ranks.tensor == nullptr ? 1 : core.ranks.tensor->size();
    const auto add = [&](const char* which, std::int64_t rows, std::int64_t columns, bool is_cut) {
      const tensor::View<float> view(next, {rows, columns});
      TensorPart part;
      if (is_cut) {
        part = by_columns ? column_part({rows, columns}, rank, ranks)
                          : row_part({rows, columns}, rank, ranks);
      }
      part.is_summed = !is_cut && ranks > 1;
      state.list.push_back({fmt::format("base_model.model.{}.{}.weight", module.name(), which),
                            {rows, columns},
                            view.span(),
                            {},
                            true,
                            module.layer,
                            std::move(part)});
      next += view.elements();
      return view;
    };
    const tensor::View<float> a = add("lora_A", lora.rank, size.inputs, by_columns);
    const TensorPart& part = state.list.back().part;
    const std::int64_t inputs = part.is_cut() ? part.whole[1] : size.inputs;
    Rng rng(seed ^ kPurpose, number);
    const double bound = 1.0 / std::sqrt(static_cast<double>(inputs));
    draw(part, a.span(), [&] { return static_cast<float>(bound * (2.0 * rng.uniform() - 1.0)); });
    const auto first_input = static_cast<std::int64_t>(part.begin);
    const tensor::View<float> b = add("lora_B", size.outputs, lora.rank, !by_columns);
    (layer.*place.linear)
        .adapters.push_back({{a, b, place.first_output, static_cast<float>(lora.scale())},
                             {},
                             {},
                             number++,
                             first_input,
                             inputs});
  }
}

void enable_lora_gradients(DecoderCore& core) {
  LoraState& state = *core.lora;
  tensor::ArenaPlan plan;
  const auto slot =
      plan.add<float>("adapter gradients", {lora_parameter_count(state.config, core.config)});
  state.gradients.reserve(plan, "the adapters' gradients");
  state.gradients.zero();
  float* next = state.gradients.view<float>(slot).data();
  for (Parameter& parameter : state.list) {
    parameter.gradient = {next, parameter.value.size()};
    next += parameter.value.size();
  }
  for (LayerWeights& layer : core.parameters.layers) {
    for (const Joined& joined : joined_layers()) {
      for (LinearAdapter& adapter : (layer.*joined.linear).adapters) {
        const auto gradient = [&](std::size_t which, const tensor::View<const float>& like) {
          return tensor::View<float>(state.list[2 * adapter.number + which].gradient, like.shape());
        };
        adapter.da = gradient(0, adapter.low_rank.a);
        adapter.db = gradient(1, adapter.low_rank.b);
      }
    }
  }
  core.gradients.layers.assign(core.parameters.layers.size(), {});  // null: all frozen
}

void read_merged(const DecoderCore& core, std::size_t index, std::span<float> values) {
  const Parameter& parameter = core.list.at(index);
  read_parameter(core, index, values);
  const std::string_view name = parameter.name;
  const auto module = module_from_name(name.substr(0, name.rfind('.')));
  if (!module || !name.ends_with(".weight")) return;
  const ProjectionSize size = projection_size(core.config, module->projection);
  const tensor::View<float> weight(values, {size.outputs, size.inputs});
  const ProjectionPlace place = find_projection(core.config, module->projection);
  const Linear& linear =
      core.parameters.layers[static_cast<std::size_t>(module->layer)].*place.linear;
  if (linear.is_quantized()) ops::dequantize_rows(linear.quantized, place.first_output, weight);
  for (const LinearAdapter& adapter : linear.adapters) {
    const ops::LowRank& low_rank = adapter.low_rank;
    if (low_rank.first_output != place.first_output) continue;
    // weight += (scale B^T)^T A.
    const std::int64_t rank = low_rank.a.size(0);
    std::vector<float> transposed(static_cast<std::size_t>(rank * size.outputs));
    for (std::int64_t o = 0; o < size.outputs; ++o) {
      for (std::int64_t r = 0; r < rank; ++r) {
        transposed[static_cast<std::size_t>(r * size.outputs + o)] =
            low_rank.scale * low_rank.b.data()[o * rank + r];
      }
    }
    ops::linear_backward_weight({std::span<const float>(transposed), {rank, size.outputs}},
                                low_rank.a, weight);
  }
}

LinearScratch linear_scratch(const DecoderConfig& config, const Quantization& quantization,
                             const LoraConfig* lora, std::int64_t rows) {
  LinearScratch scratch;
  if (quantization.format) {
    for (const Joined& joined : joined_layers()) {
      const ProjectionSize size = joined_size(config, joined);
      scratch.panel =
          std::max(scratch.panel, ops::quantized_linear_scratch(size.outputs, size.inputs));
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

}  // namespace nativo::model
