// The ingest: every row of every source becomes records or one reject, with its place in the file.
#include "data/source.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/strings.h"
#include "data/rows.h"
#include "data/shapes.h"

namespace nativo::data {
namespace {

// Rows a block. To change it is to change the files: raise the stage's version with it.
constexpr std::uint64_t kBlockRows = 20000;
constexpr std::size_t kRawBytes = 200;

/// Rows that could not be read at all, as opposed to rows whose content is not wanted.
bool is_unreadable(std::string_view rule) {
  return rule == "broken_json" || rule == "invalid_utf8" || rule == "unknown_shape" ||
         rule == "bad_record";
}

std::string key_of(std::string_view name, std::string_view key) {
  return fmt::format("[source.{}] {}", name, key);
}

void check_options(const std::string& name, const SourceOptions& options) {
  const auto refuse = [&](std::string_view key, std::string_view problem, std::string hint) {
    throw Error(ExitCode::kConfig, fmt::format("{}: {}", key_of(name, key), problem),
                std::move(hint));
  };
  if (options.path.empty()) refuse("path", "is not given", "name a file or a folder");
  if (options.lang.empty()) {
    refuse("lang", "is not given", "the ISO 639-1 code of the texts: lang = \"en\"");
  }
  const bool is_code = options.lang.size() == 2 && std::ranges::all_of(options.lang, [](char c) {
                         return c >= 'a' && c <= 'z';
                       });
  if (!is_code) {
    refuse("lang", fmt::format("\"{}\" is no ISO 639-1 code", printable(options.lang)),
           "two lower-case letters: \"en\", \"it\"");
  }
  if (options.licence.empty()) {
    refuse("licence", "is not given",
           "an SPDX id such as \"CC-BY-4.0\", or the licence in the source's own words");
  }
  if (options.shape != "auto" &&
      std::ranges::find(shape_names(), options.shape) == shape_names().end()) {
    refuse("shape", fmt::format("\"{}\" is not known", printable(options.shape)),
           fmt::format("one of: auto, {}", fmt::join(shape_names(), ", ")));
  }
}

/// Writes rows in blocks; a block that an earlier attempt finished is read again but not written.
class Blocks {
 public:
  Blocks(const fs::path& folder, const StageSpec& spec, io::Disk& disk)
      : writer_(folder, spec, disk) {}

  void row(const std::vector<Record>& records) {
    if (begin_row()) {
      writer_.count_added(records.size() - 1);
      for (const Record& record : records) writer_.keep(record);
    }
  }
  void row(const Reject& reject) {
    if (begin_row()) writer_.reject(reject);
  }
  /// Between rows: ends a full block and stops there when a signal came.
  void end_row() {
    if (rows_ < kBlockRows) return;
    end();
    stop_if_interrupted();
  }
  void end() {
    if (rows_ == 0) return;
    if (!writer_.block_done(index_)) writer_.end_block(index_);
    ++index_;
    rows_ = 0;
  }
  StageWriter& writer() { return writer_; }

 private:
  /// True when the row's block is written in this run.
  bool begin_row() {
    ++rows_;
    if (writer_.block_done(index_)) return false;
    writer_.count_in();
    return true;
  }

  StageWriter writer_;
  std::uint64_t index_ = 0;
  std::uint64_t rows_ = 0;
};

/// One source's way through the ingest.
class SourceIngest {
 public:
  SourceIngest(const std::string& name, const SourceOptions& options, Blocks& blocks,
               Progress& progress)
      : name_(name), options_(options), blocks_(blocks), progress_(progress) {}

  void run(double max_broken) {
    const std::vector<SourceFile> files =
        list_files(options_.path, key_of(name_, "path"), skipped_);
    files_ = files.size();
    for (const SourceFile& file : files) {
      if (full()) break;
      read_rows(file.path, [&](const RawRow& raw) {
        take(file, raw);
        blocks_.end_row();
        progress_.advance();
        return !full();
      });
    }
    check(max_broken);
    if (skipped_ > 0) {
      log::warn("[source.{}] {} files of {} are neither text, Markdown nor JSON: not read", name_,
                skipped_, printable(options_.path));
    }
  }

  [[nodiscard]] Json detail() const {
    Json json = Json::object();
    json["lang"] = options_.lang;
    json["licence"] = options_.licence;
    json["files"] = files_;
    json["files_skipped"] = skipped_;
    json["rows"] = rows_;
    json["records"] = records_;
    Json rejects = Json::object();
    for (const auto& [rule, count] : rejects_) rejects[rule] = count;
    json["rejects"] = std::move(rejects);
    return json;
  }

 private:
  [[nodiscard]] bool full() const {
    return options_.limit > 0 && rows_ >= static_cast<std::uint64_t>(options_.limit);
  }

  void take(const SourceFile& file, const RawRow& raw) {
    ++rows_;
    RowResult made = raw.is_text ? text_to_record(raw)
                                 : row_to_records(raw.bytes, options_.shape, options_.text_key);
    if (!made) {
      reject(raw, made.rejection());
      return;
    }
    std::vector<Record>& records = made.value();
    for (Record& record : records) finish_record(record, file, raw);
    records_ += records.size();
    blocks_.row(records);
  }

  static RowResult text_to_record(const RawRow& raw) {
    if (!is_valid_utf8(raw.bytes)) return Rejection{"invalid_utf8", ""};
    if (raw.bytes.empty()) return Rejection{"empty_content", ""};
    std::vector<Record> records(1);
    records.front().text = raw.bytes;
    return records;
  }

  void finish_record(Record& record, const SourceFile& file, const RawRow& raw) const {
    record.source = name_;
    record.lang = options_.lang;
    record.licence = options_.licence;
    if (!options_.task.empty()) record.task = options_.task;
    record.id = content_id(record);
    Json entry = {{"file", file.name}, {"row", raw.number}};
    for (const auto& [key, value] : raw.notes.items()) entry[key] = value;
    if (!record.lineage.empty()) {
      for (const auto& [key, value] : record.lineage.front().items()) entry[key] = value;
      record.lineage.clear();
    }
    add_lineage(record, "ingest", std::move(entry));
  }

  void reject(const RawRow& raw, const Rejection& reason) {
    Reject reject;
    reject.record.source = name_;
    reject.record.lang = options_.lang;
    reject.record.licence = options_.licence;
    reject.reason = reason;
    reject.origin = raw.origin;
    reject.raw = printable(utf8_prefix(raw.bytes, kRawBytes));
    ++rejects_[reason.rule];
    if (is_unreadable(reason.rule)) {
      ++unreadable_;
      if (first_.size() < 3) first_.push_back(fmt::format("{} ({})", raw.origin, reason.rule));
    }
    blocks_.row(reject);
  }

  void check(double max_broken) const {
    if (rows_ == 0) {
      throw Error(ExitCode::kData,
                  fmt::format("{}: {}: {}", key_of(name_, "path"), options_.path,
                              files_ == 0 ? "no files to read in this folder" : "no rows"),
                  "wanted are .jsonl, .json, .txt or .md files (also .gz, .zst) with content");
    }
    const double share = static_cast<double>(unreadable_) / static_cast<double>(rows_);
    if (share > max_broken) {
      throw Error(
          ExitCode::kData,
          fmt::format("[source.{}] {} of {} rows cannot be read, first: {}", name_, unreadable_,
                      rows_, printable(fmt::format("{}", fmt::join(first_, ", ")))),
          fmt::format("mend the file, set the source's shape or text_key, or raise [ingest] "
                      "max_broken (now {})",
                      max_broken));
    }
    if (records_ == 0) {
      throw Error(ExitCode::kData,
                  fmt::format("{}: {}: none of the {} rows became a record", key_of(name_, "path"),
                              options_.path, rows_),
                  "wanted are conversations that end with an answer, or texts");
    }
  }

  const std::string& name_;
  const SourceOptions& options_;
  Blocks& blocks_;
  Progress& progress_;
  std::uint64_t files_ = 0;
  std::uint64_t skipped_ = 0;
  std::uint64_t rows_ = 0;
  std::uint64_t records_ = 0;
  std::uint64_t unreadable_ = 0;
  std::map<std::string, std::uint64_t> rejects_;
  std::vector<std::string> first_;
};

}  // namespace

void SourceOptions::visit(config::Visitor& v) {
  v.path(
      {.name = "path",
       .help = "file, or folder of .jsonl, .json, .txt, .md (also .gz, .zst), read in name order"},
      path);
  v.value({.name = "lang", .help = "language of the texts, ISO 639-1; required"}, lang);
  v.value({.name = "licence", .help = "SPDX id, or the source's own words; required"}, licence);
  std::vector<std::string_view> shapes = {"auto"};
  shapes.insert(shapes.end(), shape_names().begin(), shape_names().end());
  v.value({.name = "shape",
           .help = "what the rows look like; auto recognises them by their keys",
           .choices = std::move(shapes)},
          shape);
  v.value({.name = "task", .help = "kind of exercise; empty = the rows' own task or category"},
          task);
  v.value({.name = "text_key", .help = "key of the text; empty = text, then content, then body"},
          text_key);
  v.value({.name = "limit", .help = "read at most this many rows; 0 = all", .min = 0}, limit);
  v.value(
      {.name = "translate",
       .help = "step of translate.ladder at which its records begin; empty = as [translate.route] "
               "decides"},
      translate);
  v.value({.name = "weight",
           .help = "how often the mix takes a record: 0.5 = every other one, 2 = twice",
           .min = 0},
          weight);
}

void IngestOptions::visit(config::Visitor& v) {
  v.value({.name = "max_broken",
           .help = "share of unreadable rows above which a source ends the run",
           .min = 0,
           .max = 1},
          max_broken);
}

Manifest ingest(const fs::path& folder, const StageSpec& spec,
                const std::map<std::string, SourceOptions>& sources, const IngestOptions& options,
                io::Disk& disk) {
  if (sources.empty()) {
    throw Error(ExitCode::kConfig, "no [source.NAME] is given", "add at least one source");
  }
  for (const auto& [name, source] : sources) {
    check_options(name, source);
    std::uint64_t skipped = 0;
    static_cast<void>(list_files(source.path, key_of(name, "path"), skipped));
  }
  Blocks blocks(folder, spec, disk);
  Progress progress(spec.name, 0, "rows");
  Json detail = Json::object();
  for (const auto& [name, source] : sources) {
    progress.note(name);
    SourceIngest one(name, source, blocks, progress);
    one.run(options.max_broken);
    detail[name] = one.detail();
  }
  blocks.end();
  blocks.writer().detail()["sources"] = std::move(detail);
  return blocks.writer().finish();
}

}  // namespace nativo::data
