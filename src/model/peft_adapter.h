// A LoRA adapter as a folder of PEFT's form: adapter_config.json and adapter_model.safetensors.
// Not here: which configurations we compute (model/lora_config.h). Rule: what is read is checked
// against the model before any of it is used.
// Source: huggingface.co/docs/peft, "PEFT checkpoint format".
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "io/file.h"
#include "model/decoder.h"
#include "model/hf_directory.h"

namespace nativo::model {

inline constexpr const char* kAdapterConfig = "adapter_config.json";
inline constexpr const char* kAdapterWeights = "adapter_model.safetensors";

/// Attaches the adapter in `folder` to `decoder`, which has none. Throws Error:
///   kMissingInput  the folder or a file does not exist; only a pickled adapter (.bin) is there
///   kData          a digest differs (if nativo.digests.json is there); a configuration that we do
///                  not compute; a tensor is missing, unexpected or of another shape (named)
void load_adapter(Decoder& decoder, const std::filesystem::path& folder);

/// Writes the two files into `folder`, which exists, and returns their digests. Numbers are f32, as
/// PEFT writes those it has trained. `base` names the model that the adapter belongs to, for people
/// and for PEFT's automatic loading; may be empty. The decoder has adapters.
Digests write_adapter_files(const std::filesystem::path& folder, const Decoder& decoder,
                            const std::string& base, io::Disk& disk = io::posix_disk());

/// Of tensor-parallel ranks, those that do not write hand the one that does their parts with this.
void help_write_adapter(const Decoder& decoder);

/// The same of the adapters `tensors` (Decoder::trainable()) of a model of `config`.
Digests write_adapter_files(const std::filesystem::path& folder, const LoraConfig& lora,
                            const DecoderConfig& config, std::span<const TensorToWrite> tensors,
                            const std::string& base, io::Disk& disk = io::posix_disk());

/// adapter_config.json alone; returns its digest.
Digests write_adapter_config(const std::filesystem::path& folder, const LoraConfig& lora,
                             const DecoderConfig& config, const std::string& base,
                             io::Disk& disk = io::posix_disk());

/// Writes the folder as a whole, nativo.digests.json included; an older adapter of ours there is
/// replaced, anything else is refused with Error(kData). Throws Error(kIo | kTryAgain).
void save_adapter(const std::filesystem::path& folder, const Decoder& decoder,
                  const std::string& base, io::Disk& disk = io::posix_disk());

}  // namespace nativo::model
