// "7b", "500m": model sizes as people say them, and the decoder each stands for. For estimates
// only: memory and time before there is a model folder.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/decoder_config.h"

namespace nativo::model {

/// A size as it is said, and the shape that stands for it.
struct ModelSize {
  std::int64_t parameters = 0;  ///< as said: 7b = 7 * 10^9
  DecoderConfig config;
};

/// Whether `text` reads as a size: a positive number and k, m, b or t ("500m", "1.5B").
[[nodiscard]] bool is_model_size(std::string_view text);

/// 7b is Mistral 7B (arXiv:2310.06825, table 1). Any other size has its proportions and vocabulary:
/// heads of 128 (64 below 2,048 channels), a key/value head for 4 query heads, F = 3.5 C, the width
/// that goes with the cube root of the size, and as many layers as come nearest to it. Throws
/// Error(kUsage) for what is no size, or one beyond 1 M to 10 T parameters.
[[nodiscard]] ModelSize model_size(std::string_view text);

}  // namespace nativo::model
