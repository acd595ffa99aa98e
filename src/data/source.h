// Raw files to records: JSONL, JSON arrays (plain, gzip, zstd), folders of text and Markdown; the
// shapes that instruction sets come in.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/visitor.h"
#include "data/record.h"
#include "data/stage.h"

namespace nativo::data {

/// One [source.NAME] of the config.
struct SourceOptions {
  std::string
      path;  ///< file, or folder of .txt/.md/.jsonl/.json (also .gz/.zst), read in name order
  std::string lang;     ///< ISO 639-1, required
  std::string licence;  ///< required
  std::string shape = "auto";
  std::string task;        ///< overrides the rows' own
  std::string text_key;    ///< for shape "text": which key holds it ("" = text, then content, body)
  std::int64_t limit = 0;  ///< at most this many rows; 0 = all
  std::string translate;   ///< step of the ladder that its records begin at; "" = as routed
  double weight =
      1.0;  ///< how often the mix takes a record of this source: 0.5 = every other, 2 = twice
  void visit(config::Visitor& v);
};

/// [ingest]
struct IngestOptions {
  /// A source with a greater share of unreadable rows ends the run (exit code 65).
  double max_broken = 0.1;
  void visit(config::Visitor& v);
};

/// The shapes of rows that are recognised.
enum class Shape {
  kMessages,
  kAlpaca,
  kQuestionAnswer,
  kPromptCompletion,
  kShareGpt,
  kOasstTree,
  kText
};

/// Records of one row (a tree gives one a path), or why it has none. Records carry role-checked
/// messages or text; source, lang and licence are filled by the caller.
using RowResult = Result<std::vector<Record>>;

/// Turns one JSON row of `shape` ("auto" recognises it by its keys) into records.
[[nodiscard]] RowResult row_to_records(std::string_view json_row, std::string_view shape,
                                       std::string_view text_key);

/// Reads all sources into stages/ingest. Rejects: broken_json, invalid_utf8, unknown_shape,
/// empty_content, bad_roles, bad_record. Throws Error(kMissingInput) for a missing path,
/// Error(kData) for a truncated archive, an empty source, or too many broken rows.
Manifest ingest(const fs::path& folder, const StageSpec& spec,
                const std::map<std::string, SourceOptions>& sources, const IngestOptions& options,
                io::Disk& disk = io::posix_disk());

}  // namespace nativo::data
