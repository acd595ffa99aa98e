// Inside of stages: a block's counts and files, and how they lie on disk. Not for other folders.
#pragma once

#include "data/stage.h"

namespace nativo::data {

/// What one block did; FOLDER.part-KEY/block-00000.json. Its presence means its files are whole.
struct Block {
  std::uint64_t rows_in = 0;
  std::uint64_t rows_added = 0;
  std::map<std::string, std::uint64_t> outputs;
  std::map<std::string, std::uint64_t> rejects;
  Histogram lengths;
  Json counts = Json::object();  ///< whole numbers in nested objects
  std::uint64_t block_rows = 0;  ///< rows a full block takes; 0 = as many as there were
  std::vector<StageFile> files;
};

[[nodiscard]] Json to_json(const Block& block);
/// Throws Error(kData) naming file and key.
[[nodiscard]] Block read_block(const fs::path& path);

/// to += from, leaf by leaf; both are objects of whole numbers >= 0, nested alike.
void add_counts(Json& to, const Json& from);

/// Throws Error(kData) unless the file has this SHA-256.
void check_digest(const fs::path& path, std::string_view sha256);

}  // namespace nativo::data
