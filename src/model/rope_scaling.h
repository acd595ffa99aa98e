// How a model stretches its rotary embedding beyond the positions it was trained on.
// Not here: the rotation (ops/rope.h), config.json (decoder_config.h). Rule: the arithmetic follows
// transformers' modeling_rope_utils.py step by step, in f32 where that computes in f32.
#pragma once

#include <cstdint>
#include <vector>

namespace nativo::model {

/// Sources: linear: Chen et al., arXiv:2306.15595; dynamic: transformers, "dynamic NTK"; llama3:
/// the config.json of Llama 3.1; yarn: Peng et al., arXiv:2309.00071.
struct RopeScaling {
  enum class Type {
    kNone,
    kLinear,   ///< every frequency divided by `factor`
    kDynamic,  ///< changes only what lies beyond max_positions, which no batch may
    kLlama3,   ///< low frequencies divided, high ones kept, a ramp between
    kYarn,     ///< as llama3 with another ramp; and attention sharpened
  };
  Type type = Type::kNone;
  double factor = 1.0;
  std::int64_t original_max_positions = 0;  ///< llama3, yarn: of the pretraining
  double low_freq_factor = 1.0;             ///< llama3
  double high_freq_factor = 4.0;            ///< llama3
  double beta_fast = 32.0;                  ///< yarn
  double beta_slow = 1.0;                   ///< yarn
  bool truncate = true;                     ///< yarn: the ramp's ends are whole numbers
  double attention_factor = 1.0;            ///< yarn: cos and sin are multiplied by it

  bool operator==(const RopeScaling&) const = default;
};

/// yarn's attention_factor when config.json does not give one: 0.1 mscale ln(factor) + 1.
[[nodiscard]] double yarn_magnitude(double factor, double mscale);

/// The angle per position of each pair of elements: [D/2].
[[nodiscard]] std::vector<float> rope_frequencies(const RopeScaling& scaling, double theta,
                                                  std::int64_t head_dim);

}  // namespace nativo::model
