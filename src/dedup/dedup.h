// The stage that leaves one of each set of equal or nearly equal records. It changes no content;
// the records that stay for others get a lineage entry {"stage", "stands_for": rows}.
#pragma once

#include <cstdint>
#include <filesystem>

#include "data/record.h"
#include "data/stage.h"
#include "dedup/options.h"
#include "io/file.h"

namespace nativo::dedup {

/// Raised when the same input and options give another output.
inline constexpr std::int64_t kDedupVersion = 1;

/// Runs the stage over all of `reader` (records are held in memory); output in input order, the
/// same for any number of threads.
///
/// Rejects:
///   exact_duplicate  same content after text::fold_text (case, white space, punctuation); value
///                    "of ID", the record that stays
///   near_duplicate   value "cosine 0.953 >= 0.9 of ID" (dedup/near.h, dedup/ngrams.h)
/// Of equals stays: the native one before a translated one (lineage has stage "translate"), then
/// the longer one, then the earlier one. Of conversations, all messages are compared exactly, but
/// system messages are left out of near-duplicates: many records share one.
///
/// Detail: {"exact", "near", "largest_group": rows that one record stands for,
///          "cosine_histogram": {"0.90": rows, ...}, "sources": {NAME: {"rows_in", "rows_out"}}}
data::Manifest run_dedup(const std::filesystem::path& folder, const data::StageSpec& spec,
                         data::RecordReader& reader, const DedupOptions& options,
                         io::Disk& disk = io::posix_disk());

}  // namespace nativo::dedup
