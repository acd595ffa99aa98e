// One tokenised training example.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nativo::train {

/// A document as the model sees it, special tokens included.
struct Example {
  std::vector<std::int32_t> tokens;     ///< ids in [0, V)
  std::vector<std::uint8_t> loss_mask;  ///< same length; 1 = this token is to be predicted
  std::string id = {};                  ///< of the record it was made from, for messages
  std::string source = {};              ///< which data it comes from; losses are told apart by it
  std::string lang = {};                ///< ISO 639-1, or empty
};

}  // namespace nativo::train
