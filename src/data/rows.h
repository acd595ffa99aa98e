// Inside of the ingest: the files of a source and the raw rows in them. Not for other folders.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace nativo::data {

namespace fs = std::filesystem;

/// A file of a source and its name for the lineage: relative to the source's folder.
struct SourceFile {
  fs::path path;
  std::string name;
};

/// The file itself, or the .jsonl .ndjson .json .txt .md .markdown files (also .gz .zst) below a
/// folder, hidden ones left out, in name order. `skipped` counts the other files. Throws
/// Error(kMissingInput) when `root` does not exist; `key` names it in the message.
[[nodiscard]] std::vector<SourceFile> list_files(const fs::path& root, std::string_view key,
                                                 std::uint64_t& skipped);

/// One row as it lies in its file.
struct RawRow {
  std::string_view bytes;       ///< valid during the call
  bool is_text = false;         ///< a text or a passage of one; else a JSON value
  std::uint64_t number = 0;     ///< line (from 1), index in an array (from 0) or passage (from 1)
  std::string origin;           ///< "path:line" or "path[index]"
  Json notes = Json::object();  ///< what was cut from it, for the lineage
};

/// Calls `take` for every row of `file` until it returns false. Throws Error(kData) for a damaged
/// or truncated archive, for an array that does not end, for a line over 64 MiB.
void read_rows(const fs::path& file, const std::function<bool(const RawRow&)>& take);

}  // namespace nativo::data
