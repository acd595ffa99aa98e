// A model of 30 M parameters and its data, to compare the memory plan with what the system counts.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "base/rng.h"
#include "model/decoder_config.h"
#include "train/example.h"

namespace nativo::train::memory {

inline model::DecoderConfig config() {
  model::DecoderConfig config;
  config.vocab_size = 8192;
  config.hidden_size = 512;
  config.intermediate_size = 1408;
  config.layers = 8;
  config.heads = 8;
  config.kv_heads = 4;
  config.head_dim = 64;
  config.max_positions = 512;
  return config;
}

inline std::vector<Example> examples() {
  std::vector<Example> examples(16);
  for (std::size_t i = 0; i < examples.size(); ++i) {
    Rng rng(i);
    examples[i].id = std::to_string(i);
    for (int t = 0; t < 257; ++t) {
      examples[i].tokens.push_back(static_cast<std::int32_t>(rng.below(8192)));
    }
    examples[i].loss_mask.assign(examples[i].tokens.size(), 1);
  }
  return examples;
}

/// The figure behind `key` in a file of /proc, in bytes.
inline double figure(const char* path, const std::string& key) {
  std::ifstream file(path);
  std::string word;
  double kib = 0.0;
  while (file >> word) {
    if (word == key && file >> kib) return kib * 1024.0;
  }
  return 0.0;
}

}  // namespace nativo::train::memory
