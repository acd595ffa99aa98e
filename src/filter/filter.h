// The stage that drops records which break a rule, and says which rule and by how much. It changes
// no record. The rules: filter/rules.h; the thresholds: filter/options.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "data/record.h"
#include "data/stage.h"
#include "filter/options.h"
#include "io/file.h"
#include "text/tokenizer.h"

namespace nativo::filter {

/// Raised when the same input and options give another output.
inline constexpr std::int64_t kFilterVersion = 1;

/// Why `record` is dropped, or nothing. `language`: the run's. `tokenizer` counts the tokens; words
/// are counted when it is null. Thread-safe.
[[nodiscard]] std::optional<Rejection> judge(const data::Record& record,
                                             const FilterOptions& options,
                                             std::string_view language,
                                             const text::Tokenizer* tokenizer);

/// Runs the stage over `reader`, blocks of 2048 rows in parallel; output in input order, the same
/// for any number of threads. The manifest's detail:
///   {"unit": "tokens"|"words", "tokens": kept in all,
///    "token_histogram": {"64": rows, ...}          lower edges, powers of two, kept records
///    "sources": {NAME: {"rows_in", "rows_out", "rejects": {RULE: rows}}}}
/// Throws what the reader and the writer throw, and Error(kTryAgain) when interrupted; blocks that
/// are done are kept.
data::Manifest run_filter(const std::filesystem::path& folder, const data::StageSpec& spec,
                          data::RecordReader& reader, const FilterOptions& options,
                          std::string_view language, const text::Tokenizer* tokenizer,
                          io::Disk& disk = io::posix_disk());

}  // namespace nativo::filter
