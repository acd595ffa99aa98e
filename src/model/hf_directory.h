// A decoder as a folder of Hugging Face's form: config.json and safetensors, whole or in shards.
// Not here: tokenizer files, which are carried along as bytes. Rule: what we write, we list with
// digests in nativo.digests.json; where that file is present, nothing is read that it does not
// vouch for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "io/file.h"
#include "io/range_digest.h"
#include "model/decoder.h"
#include "model/safetensors.h"
#include "model/storage_type.h"

namespace nativo::model {

inline constexpr const char* kDigestsFile = "nativo.digests.json";

/// The shape alone: `folder`/config.json. Throws as load_decoder does.
[[nodiscard]] DecoderConfig read_config(const std::filesystem::path& folder);

/// Reads the decoder in `folder`. Files: config.json; model.safetensors, or
/// model.safetensors.index.json and the shards it names. `lm_head.weight` may be absent when the
/// config ties it to the embedding. Throws Error:
///   kMissingInput  the folder, config.json or the weights do not exist; for folders that hold only
///                  pickled weights (.bin, .pt, .pth, .pkl) the hint says how to convert them
///   kData          a digest differs; a tensor is missing, unexpected or of another shape (named)
///   kTryAgain      memory does not suffice
/// With `quantization`, each linear layer is quantised as it is read: the weights never exist whole
/// in f32. With `ranks` collective: each reads what is its own, and they verify
/// the digests together.
[[nodiscard]] Decoder load_decoder(const std::filesystem::path& folder,
                                   const Quantization& quantization = {},
                                   const DecoderRanks& ranks = {}, const Numbers& numbers = {});

/// What save_decoder writes, and how.
struct SaveOptions {
  StorageType type = StorageType::kBf16;
  std::uint64_t max_shard_bytes = std::uint64_t{5} << 30;  ///< a single larger tensor is one shard
  /// Further files, name (without folder) to content: tokenizer.model, generation_config.json ...
  std::map<std::string, std::string> extra_files = {};
};

/// SHA-256 (hex) by file name.
using Digests = std::map<std::string, std::string>;

/// Writes config.json, weights, extra files and nativo.digests.json into `folder`, which exists,
/// with what was quantised in floating point again and LoRA adapters merged into the weights,
/// and returns the digests of all but the last. For callers that commit the folder themselves.
/// Of the ranks that have parts of the model (tensor-parallel ones, and all where
/// Decoder::gathers_layers()) one writes, and the others call help_write_decoder() with the same
/// options, which hands it their parts.
Digests write_decoder_files(const std::filesystem::path& folder, const Decoder& decoder,
                            const SaveOptions& options, io::Disk& disk = io::posix_disk());
void help_write_decoder(const Decoder& decoder, const SaveOptions& options);

/// The same of a model whose parameters, in the order of the forward pass, are `tensors`.
Digests write_decoder_files(const std::filesystem::path& folder, const DecoderConfig& config,
                            std::span<const TensorToWrite> tensors, const SaveOptions& options,
                            io::Disk& disk = io::posix_disk());

/// What write_decoder_files() writes beside the weights, where these are one file,
/// model.safetensors, that several processes have written with the digests `weights`. Returns the
/// digests of the others but nativo.digests.json.
Digests write_decoder_companions(const std::filesystem::path& folder, const DecoderConfig& config,
                                 const SaveOptions& options,
                                 const std::vector<io::RangeDigest>& weights,
                                 io::Disk& disk = io::posix_disk());

/// Writes the folder as a whole: it appears complete under its name or not at all. An older folder
/// there is replaced if it holds a nativo.digests.json or is empty; anything else is refused with
/// Error(kData). Throws Error(kIo | kTryAgain) when writing fails.
void save_decoder(const std::filesystem::path& folder, const Decoder& decoder,
                  const SaveOptions& options, io::Disk& disk = io::posix_disk());

/// Compares every file that `folder`/nativo.digests.json lists with its digest, or with those of
/// its ranges; returns them, of ranges the SHA-256 of their list. Throws Error(kData) naming the
/// first file that differs, is missing, or has a name with a folder in it. `turns`: those files and
/// ranges that are this process's; the others count as equal.
Digests verify_digests(const std::filesystem::path& folder, io::Turns turns = {});

}  // namespace nativo::model
