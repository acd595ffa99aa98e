#include "model/memory_plan.h"

#include "model/decoder_memory.h"
#include "model/lora.h"

namespace nativo::model {
namespace {

/// What an arena of `count` f32 numbers takes.
std::size_t reserved(std::int64_t count) {
  tensor::ArenaPlan plan;
  static_cast<void>(plan.add<float>("", {count}));
  return tensor::Arena::capacity_for(plan.bytes());
}

}  // namespace

MemoryPlan memory_plan(const DecoderConfig& config, const Quantization& quantization,
                       const LoraConfig* lora, const TrainingShape& shape) {
  const bool shares = lora == nullptr && shape.gradients == GradientMemory::kShared;
  const PassPlan pass =
      plan_pass(config, linear_scratch(config, quantization, lora, shape.rows * shape.length),
                {.rows = shape.rows,
                 .length = shape.length,
                 .training = true,
                 .recompute = shape.recompute,
                 .shares_gradients = shares,
                 .first_trained_layer = first_trained_layer(lora)});
  MemoryPlan plan;
  DecoderMemory& memory = plan.memory;
  memory.parameters =
      reserved(config.parameter_count() - quantized_parameter_count(config, quantization));
  memory.quantized_parameters =
      tensor::Arena::capacity_for(plan_quantized(config, quantization).bytes());
  if (lora != nullptr) {
    memory.adapters = memory.gradients = reserved(lora_parameter_count(*lora, config));
  } else if (!shares) {
    memory.gradients = reserved(config.parameter_count());
  }
  memory.pass = tensor::Arena::capacity_for(pass.memory.bytes());
  plan.forward = pass.memory.fullest(pass.forward);
  plan.backward = pass.memory.fullest(pass.backward);
  return plan;
}

}  // namespace nativo::model
