// The files of one checkpoint's folder: their names, what vouches for them, and reading them back.
// Not here: which checkpoint to take, and how a folder comes to be (checkpoint.h,
// shared_checkpoint.h). Rule: nothing of a folder is used before all of it has been verified.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "base/json.h"
#include "io/range_digest.h"
#include "model/decoder.h"
#include "train/optimizer.h"

namespace nativo::train {

inline constexpr const char* kCheckpointManifest = "manifest.json";
inline constexpr const char* kCheckpointState = "state.json";
inline constexpr const char* kCheckpointModel = "model.safetensors";
inline constexpr const char* kCheckpointOptimizer = "optimizer.safetensors";
inline constexpr std::uint64_t kCheckpointSmallFile = std::uint64_t{64} << 20;

/// Of a decoder with adapters, those alone are trained and saved.
[[nodiscard]] const char* checkpoint_weights(bool adapters);

/// One of the two large files of a checkpoint.
[[nodiscard]] bool is_checkpoint_file(const std::string& name);

/// The manifest's text: `files` maps a name to {"bytes", "sha256"} or {"bytes", "ranges"}.
[[nodiscard]] std::string checkpoint_manifest(const Json& files);

/// Throws Error when a file is missing, or its size or a digest differs from the manifest's.
/// `turns`: only what is this process's is hashed.
void verify_checkpoint(const std::filesystem::path& folder, io::Turns turns = {});

/// `weights` of what is trained of `decoder`, and what `optimizer` holds of its state, from a
/// folder that has been verified. Throws Error(kData) for tensors of other names, shapes or types.
void read_checkpoint(const std::filesystem::path& folder, model::Decoder& decoder,
                     Optimizer& optimizer, std::span<const model::Slice> weights);

}  // namespace nativo::train
