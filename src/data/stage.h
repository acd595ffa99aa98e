// The rules that every stage obeys: records in, records + rejects + manifest out; rows in = rows
// out + rejects; nothing under its final name before it is whole; finished blocks survive an
// interruption. Layout on disk: docs/formats/stage.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "data/record.h"
#include "io/file.h"

namespace nativo::data {

namespace fs = std::filesystem;

/// One file of a stage's output.
struct StageFile {
  std::string name;  ///< "records-00000.jsonl.zst"
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  std::string sha256;
};

/// A histogram with fixed bucket edges, for the report: tokens or characters a record.
using Histogram = std::map<std::int64_t, std::uint64_t>;  ///< lower edge of the bucket -> rows

/// What a stage did; stages/NAME/manifest.json. Written last: a stage without it did not happen.
struct Manifest {
  std::string stage;
  std::string key;           ///< hash of inputs, options and code version
  std::int64_t version = 1;  ///< of the stage's code: raised when the same input gives other output
  Json options;              ///< resolved options, as they were hashed
  Json inputs = Json::array();  ///< [{"name", "sha256"}] that the key was made from
  std::uint64_t rows_in = 0;
  std::uint64_t rows_added = 0;  ///< rows made from others (a conversation tree's further paths)
  std::uint64_t rows_out = 0;
  std::map<std::string, std::uint64_t> outputs;  ///< rows by output name: "records", "heldout"
  std::map<std::string, std::uint64_t> rejects;  ///< rows by rule
  std::vector<StageFile> files;
  Histogram length_histogram;    ///< characters a kept record, in powers of two
  Json detail = Json::object();  ///< what else the stage wants remembered (per source counts, ...)
  double seconds = 0.0;

  [[nodiscard]] std::uint64_t rejected() const;
};

[[nodiscard]] Json to_json(const Manifest& manifest);
/// Reads stages/NAME/manifest.json; throws Error(kData) naming file and key.
[[nodiscard]] Manifest read_manifest(const fs::path& stage_folder);

/// True when `stage_folder` holds a manifest with `key` and all its files with their sizes; with
/// `verify`, their digests too (Error(kData) when one differs).
[[nodiscard]] bool is_complete(const fs::path& stage_folder, std::string_view key, bool verify);

/// Streams the records of one output of a finished stage, verifying each file's digest before the
/// first row of it is handed out.
class RecordReader {
 public:
  explicit RecordReader(const fs::path& stage_folder, std::string_view output = "records");
  /// From plain files (.jsonl, optionally compressed) of records, for stages run by hand.
  explicit RecordReader(std::vector<fs::path> files);
  ~RecordReader();
  RecordReader(RecordReader&&) noexcept;
  RecordReader& operator=(RecordReader&&) noexcept;

  /// The next record; false at the end. A line that is no record throws Error(kData) with
  /// file:line: stage files are ours and damaged ones are not used.
  bool next(Record& record);
  /// Rows in all files, when known from a manifest; else 0.
  [[nodiscard]] std::uint64_t total() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// All of an output's records.
[[nodiscard]] std::vector<Record> read_all(const fs::path& stage_folder,
                                           std::string_view output = "records");

/// Which blocks of a stage one of several processes makes: those whose number is `index` modulo
/// `count`. `count` = 0: all of them, and the stage is finished.
struct StagePart {
  std::uint64_t index = 0;
  std::uint64_t count = 0;

  [[nodiscard]] bool is_whole() const { return count == 0; }
  [[nodiscard]] bool makes(std::uint64_t block) const {
    return count == 0 || block % count == index;
  }
};

/// What identifies a stage's run.
struct StageSpec {
  std::string name;  ///< folder under stages/
  std::string key;   ///< from stage_key()
  std::int64_t version = 1;
  Json options;
  Json inputs = Json::array();
  StagePart part = {};  ///< who makes what does not change it: the key does not know this
};

/// SHA-256 over name, code version, options and inputs.
[[nodiscard]] std::string stage_key(const StageSpec& spec);

/// Writes a stage's output, one file a block and output: records-00000.jsonl.zst, ... Output goes
/// to FOLDER.part-KEY/ and is renamed to FOLDER by finish(). A stage that never calls end_block()
/// has one block and starts anew after a crash. Processes that each make a part of the blocks write
/// to the same part folder at once; a writer of the whole, later, joins them. Not thread-safe.
/// Errors of the disk pass through; the part folder stays and a later writer with the same key
/// continues it.
class StageWriter {
 public:
  /// `folder` = RUN/stages/NAME. An unfinished attempt with the same key is continued (its blocks
  /// that are whole are kept, see block_done()); one with another key is removed. With `spec.part`,
  /// nothing is removed, and only this part's blocks are looked at.
  /// Where every block but the last takes `block_rows` rows, those that an earlier attempt or other
  /// processes made with the same number count, whichever they are; otherwise (0) only the first
  /// ones, as far as none is missing.
  StageWriter(fs::path folder, StageSpec spec, io::Disk& disk = io::posix_disk(),
              std::uint64_t block_rows = 0);
  ~StageWriter();
  StageWriter(const StageWriter&) = delete;
  StageWriter& operator=(const StageWriter&) = delete;

  /// Counts rows taken from the input (and rows made from others).
  void count_in(std::uint64_t rows = 1);
  void count_added(std::uint64_t rows = 1);
  void keep(const Record& record, std::string_view output = "records");
  void reject(const Reject& reject);
  /// Adds to the open block's counts: an object whose leaves are whole numbers >= 0, nested as the
  /// stage likes. The manifest's detail gets their sums over all blocks.
  void add_counts(const Json& counts);

  /// Ends block `index` (in order, of those that this part makes and that are not done): its files
  /// and counts are on disk and survive a crash.
  void end_block(std::uint64_t index);
  /// True when an earlier attempt ended this block, with whole files; its rows are then counted,
  /// not processed again.
  [[nodiscard]] bool block_done(std::uint64_t index) const;
  /// Rows that a done block took from the input: what to skip of it.
  [[nodiscard]] std::uint64_t block_rows_in(std::uint64_t index) const;

  /// Goes into the manifest as it is; not saved by end_block().
  Json& detail();

  /// Checks rows in + added = rows out + rejects (a violation is Error(kInternal) and commits
  /// nothing), writes the manifest, renames the folder. Returns the manifest. For the whole only.
  Manifest finish();

  /// What a part has made so far, without files: nothing is written, the stage is not finished.
  [[nodiscard]] Manifest so_far() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// What became of one block: kept and rejected rows, in order.
struct BlockResult {
  std::vector<Record> kept;
  std::vector<Reject> rejected;
  Json counts = Json::object();  ///< see StageWriter::add_counts
};

/// Runs a stage that looks at rows block by block (translate, filter): reads `input`, calls
/// `transform` on `block_rows` rows at a time, writes, shows progress, stops between blocks when
/// interrupted, and makes the blocks that are still missing next time. With `spec.part`, makes that
/// part's blocks only and returns so_far().
Manifest run_blocks(const fs::path& folder, const StageSpec& spec, RecordReader& input,
                    std::size_t block_rows,
                    const std::function<BlockResult(std::vector<Record>)>& transform,
                    Json detail = Json::object(), io::Disk& disk = io::posix_disk());

}  // namespace nativo::data
