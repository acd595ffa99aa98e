#include "model/memory_plan.h"

#include "model/decoder_memory.h"
#include "model/lora.h"

namespace nativo::model {
namespace {

/// What an arena of `count` numbers takes.
std::size_t reserved(std::int64_t count, const Numbers& numbers) {
  tensor::ArenaPlan plan;
  numbers.type == tensor::DType::kBf16 ? plan.add<tensor::bf16>("", {count})
                                       : plan.add<float>("", {count});
  return tensor::Arena::capacity_for(plan.bytes());
}

}  // namespace

MemoryPlan memory_plan(const DecoderConfig& config, const Quantization& quantization,
                       const LoraConfig* lora, const TrainingShape& shape, const Numbers& numbers) {
  const GradientMemory gradients = lora == nullptr ? shape.gradients : GradientMemory::kApart;
  const LinearScratch scratch =
      linear_scratch(config, quantization, lora, shape.rows * shape.length, numbers);
  const PassShape pass_shape{.rows = shape.rows,
                             .length = shape.length,
                             .training = true,
                             .recompute = shape.recompute,
                             .gradients = gradients,
                             .offload_inputs = shape.offload_inputs,
                             .first_trained_layer = first_trained_layer(lora),
                             .device = numbers.device};
  const PassPlan pass = numbers.type == tensor::DType::kBf16
                            ? plan_pass<tensor::bf16>(config, scratch, pass_shape)
                            : plan_pass<float>(config, scratch, pass_shape);
  MemoryPlan plan;
  DecoderMemory& memory = plan.memory;
  memory.parameters =
      reserved(config.parameter_count() - quantized_parameter_count(config, quantization), numbers);
  memory.quantized_parameters =
      tensor::Arena::capacity_for(plan_quantized(config, quantization).bytes());
  if (lora != nullptr) {
    memory.adapters = memory.gradients = reserved(lora_parameter_count(*lora, config), numbers);
  } else if (!lie_in_pass(gradients)) {
    memory.gradients = reserved(config.parameter_count(), numbers);
  }
  memory.pass = tensor::Arena::capacity_for(pass.memory.bytes());
  if (shape.offload_inputs) memory.host = offloaded_bytes(config, numbers.type, pass_shape);
  plan.forward = pass.memory.fullest(pass.forward);
  plan.backward = pass.memory.fullest(pass.backward);
  return plan;
}

std::size_t layer_place_bytes(std::int64_t numbers) {
  constexpr std::int64_t kLine = tensor::kAlignment / sizeof(float);
  return static_cast<std::size_t>((numbers + kLine - 1) / kLine * kLine) * sizeof(float);
}

LayerNumbers layer_numbers(DecoderConfig config) {
  config.layers = 0;
  LayerNumbers numbers{.layer = 0, .others = config.parameter_count()};
  config.layers = 1;
  numbers.layer = config.parameter_count() - numbers.others;
  return numbers;
}

std::size_t cut_weight_bytes(const DecoderConfig& config, std::int64_t ranks,
                             std::int64_t neighbours) {
  const LayerNumbers numbers = layer_numbers(config);
  const std::int64_t own = (config.layers * numbers.layer + ranks - 1) / ranks;
  return layer_place_bytes(own) +
         (layer_place_bytes(numbers.others) + 3 * layer_place_bytes(numbers.layer)) /
             static_cast<std::size_t>(neighbours);
}

}  // namespace nativo::model
