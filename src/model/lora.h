// LoRA adapters and quantised weights as parts of a decoder's state: their memory, and the values
// that result. Not for other folders. Not here: the arithmetic (model/linear.h), files
// (model/peft_adapter.h). Rule: an adapter's numbers lie in one block, in the order of its modules.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "model/decoder.h"
#include "model/linear.h"
#include "tensor/arena.h"

namespace nativo::model {

struct DecoderCore;
template <class T>
struct TypedCore;
template <class T>
struct LayerWeights;
struct LinearScratch;

/// A projection inside the joined layer that computes it.
template <class T>
struct ProjectionPlace {
  Linear<T> LayerWeights<T>::*linear = nullptr;
  std::int64_t first_output = 0;
};
template <class T>
[[nodiscard]] ProjectionPlace<T> find_projection(const DecoderConfig& config,
                                                 Projection projection);

/// Memory of the adapters of one decoder.
struct LoraState {
  LoraConfig config;
  tensor::Arena values;
  tensor::Arena gradients;
  std::vector<Parameter> list;  ///< A then B of each module
};

/// Memory of the quantised layers of one decoder.
struct QuantizedState {
  Quantization options;
  tensor::Arena memory;
};

/// Parameters that `quantization` keeps outside the block of f32 parameters.
[[nodiscard]] std::int64_t quantized_parameter_count(const DecoderConfig& config,
                                                     const Quantization& quantization);

/// What allocate_quantized() will reserve; empty without a format.
[[nodiscard]] tensor::ArenaPlan plan_quantized(const DecoderConfig& config,
                                               const Quantization& quantization);

/// Plans and allocates the quantised matrices of core.parameters.
template <class T>
void allocate_quantized(TypedCore<T>& core, const Quantization& quantization);

/// See Decoder::load, Decoder::attach_lora and Decoder::read_merged.
template <class T>
void load_quantized(TypedCore<T>& core,
                    const std::function<void(const Parameter&, std::span<float>)>& read);
template <class T>
void attach_lora(TypedCore<T>& core, const LoraConfig& lora, std::uint64_t seed);
template <class T>
void enable_lora_gradients(TypedCore<T>& core);
template <class T>
void read_merged(const TypedCore<T>& core, std::size_t index, std::span<float> values);

/// Scratch that the layers need for a pass over `rows` tokens; `lora` may be null.
[[nodiscard]] LinearScratch linear_scratch(const DecoderConfig& config,
                                           const Quantization& quantization, const LoraConfig* lora,
                                           std::int64_t rows, const Numbers& numbers);

}  // namespace nativo::model
