// Training on pre-tokenised lines, without a pipeline: a model folder and a file in, a model folder
// out.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "dist/communicator.h"
#include "pipeline/options.h"

namespace nativo::pipeline {

namespace fs = std::filesystem;

/// Files are those of docs/formats/tokens.md.
struct TokenTraining {
  fs::path model;                 ///< Hugging Face directory
  std::vector<fs::path> tokens;   ///< trained on, one file after the other
  std::vector<fs::path> heldout;  ///< measured on; may be empty
  /// The same in the language that the model speaks already, to see what it forgets; may be empty.
  std::vector<fs::path> base_heldout;
  fs::path output;  ///< folder of the training; see Training::folder
};

/// Trains as [train], [lora], model.dtype, run.seed and run.threads of `options` say, continuing
/// what was stopped in `output`, and returns the folder of the trained model. What is done already,
/// with the same files and options, is not done again. Holds the lock of `output`. Throws Error.
/// Several `ranks` all call it and train together; null = this process alone.
fs::path train_on_tokens(const PipelineOptions& options, const TokenTraining& request,
                         dist::Communicator* ranks = nullptr);

}  // namespace nativo::pipeline
