// What `nativo memory` and `nativo plan --simulate` are about: a model and how it is trained.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/decoder_config.h"
#include "pipeline/options.h"

namespace nativo::cli {

struct Subject {
  std::string name;
  std::int64_t said = 0;  ///< parameters as people say: 7b; else those of the config
  model::DecoderConfig config;
  pipeline::PipelineOptions options;
};

/// `what` is a pipeline file (TOML), a model directory, or a size such as 7b; `sets` are options of
/// the run. Throws Error.
[[nodiscard]] Subject read_subject(const std::string& what, const std::vector<std::string>& sets);

}  // namespace nativo::cli
