// JSON in, one HTML page out: what a run did and whether its model became better.
// Not here: measuring. Every number on the page stands in a file of the run folder or is a sum or a
// share of such numbers.
#pragma once

#include <filesystem>
#include <string>

namespace nativo::report {

namespace fs = std::filesystem;

/// The page about what lies in `run_folder`; everything in it is optional:
///   nativo.lock.toml                                   shown folded
///   stages/{ingest,dedup_sources,translate,filter,dedup,mix}/manifest.json
///   translation-review.json                            when it is of that translation
///   {base,train}/metrics.jsonl, events.jsonl, summary.json   or, of a training without a pipeline,
///                                                            these in the folder itself
///   eval/comparison.json, eval/dialogues.json
/// The page is one file that asks for nothing else: styles, scripts and Chart.js are in it, and a
/// Content-Security-Policy lets only those scripts run. Tables and sums need no script. Text from
/// the files is escaped; control and bidirectional characters are made visible. Throws
/// Error(kMissingInput) when there is no such folder, Error(kData) naming file and key when a file
/// in it is damaged (a torn last line of a metrics.jsonl is left out).
[[nodiscard]] std::string render_report(const fs::path& run_folder);

/// Writes render_report()'s page to `html`, atomically. Throws Error as it does, or kIo.
void write_report(const fs::path& run_folder, const fs::path& html);

}  // namespace nativo::report
