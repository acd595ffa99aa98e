// The stage that decides how often each record is seen, which are held out, and in which order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "config/visitor.h"
#include "data/record.h"
#include "data/stage.h"
#include "io/file.h"

namespace nativo::mix {

/// Raised when the same input and options give another output.
inline constexpr std::int64_t kMixVersion = 1;

/// [mix]
struct MixOptions {
  std::int64_t target_rows = 0;
  double heldout_share = 0.05;
  std::int64_t min_heldout = 1;

  void visit(config::Visitor& v) {
    v.value({.name = "target_rows",
             .help = "at most this many rows in all, copies counted; 0 = all",
             .min = 0,
             .max = 1e15},
            target_rows);
    v.value({.name = "heldout_share",
             .help = "share of the records held out of training; 0 = none",
             .min = 0.0,
             .max = 0.9},
            heldout_share);
    v.value({.name = "min_heldout",
             .help = "least number of records held out, while half of them stay",
             .min = 0,
             .max = 1e9},
            min_heldout);
  }
};

/// Runs the stage over all of `reader` (records are held in memory). Everything is decided by
/// hashes of (seed, content id), so that a record's fate does not change when others come or go.
///
/// Weights: `weights` by source, 1 where a source has none. 0.5 = the half with the lower hashes;
/// 2 = each twice, the second with the lineage entry {"stage", "copy": 2}; 2.5 = half of them a
/// third time; 0 = none. A weight that is negative or not finite is Error(kConfig). Held-out split
/// (output "heldout"): records whose second hash lies below heldout_share; then the next ones until
/// there are min_heldout, never more than half. Equal content is on one side. A held-out record is
/// written once, whatever its weight. With heldout_share = 0 nothing is held out. target_rows: of
/// all rows and copies of both outputs, those with the lowest third hashes stay. Order: a
/// permutation drawn from the seed, each output its own.
///
/// Rejects: not_sampled, value "weight 0.5 of source NAME" or "target_rows 1000".
/// rows_added counts copies. Detail: {"splits": {"records"|"heldout": {"rows", "characters",
/// "sources": {NAME: {"rows", "characters"}}, "languages": {LANG: {...}}}}, "copies": rows}
data::Manifest run_mix(const std::filesystem::path& folder, const data::StageSpec& spec,
                       data::RecordReader& reader, const std::map<std::string, double>& weights,
                       const MixOptions& options, std::uint64_t seed,
                       io::Disk& disk = io::posix_disk());

}  // namespace nativo::mix
