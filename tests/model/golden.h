// Reads tests/golden: batches and tensors. The format: tests/golden/README.md.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "io/file.h"
#include "model/decoder.h"
#include "model/safetensors.h"

namespace nativo::model {

inline std::filesystem::path golden_folder() {
  return std::filesystem::path(NATIVO_SOURCE_DIR) / "tests" / "golden";
}

/// The folders of tests/golden/transformers.
inline constexpr std::array kTransformersCases = {
    "mistral_window",     "mistral_packed_bf16_shards", "llama2_padded", "llama2_tied_packed",
    "llama3_scaled_bf16", "llama_linear_biases_shards", "qwen2_packed",  "qwen3_tied",
    "qwen3_yarn_bf16"};

inline Json read_golden_json(const std::filesystem::path& path) {
  return parse_json(io::read_file(path), path.string());
}

inline Batch golden_batch(const Json& json) {
  Batch batch;
  batch.rows = static_cast<std::int64_t>(json.at("tokens").size());
  batch.length = static_cast<std::int64_t>(json.at("tokens").at(0).size());
  const auto flat = [&](const char* key) {
    std::vector<std::int32_t> values;
    for (const Json& row : json.at(key)) {
      for (const Json& value : row) values.push_back(value.get<std::int32_t>());
    }
    return values;
  };
  batch.tokens = flat("tokens");
  batch.targets = flat("targets");
  batch.positions = flat("positions");
  batch.documents = flat("documents");
  return batch;
}

inline std::vector<float> golden_tensor(const SafetensorsFile& file, const std::string& name) {
  const TensorEntry& entry = *file.find(name);
  std::vector<float> values(static_cast<std::size_t>(entry.elements));
  file.read(entry, values);
  return values;
}

}  // namespace nativo::model
