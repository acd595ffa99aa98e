#include "eval/translation_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "data/record.h"
#include "data/stage.h"
#include "io/lines.h"

namespace nativo::eval {
namespace {

namespace fs = std::filesystem;

/// A translation as its file has it.
struct Hypothesis {
  std::string text;
  std::string source;
  std::vector<std::string> references;  ///< its own
  std::string source_id;                ///< of a record: the id before it was translated, or ""
  std::uint64_t row = 0;                ///< of a record: the row it was read from, or 0
  bool is_record = false;
};

struct References {
  fs::path path;
  std::vector<std::string> rows;
  std::unordered_map<std::string, std::size_t> by_id;  ///< empty, or one for each row
};

bool has_json_lines(const fs::path& path) {
  const std::string name = path.filename().native();
  return name.find(".json") != std::string::npos || name.find(".ndjson") != std::string::npos;
}

void for_each_line(const fs::path& path,
                   const std::function<void(const std::string&, const std::string&)>& visit) {
  io::LineReader reader(path == "-" ? fs::path("/dev/stdin") : path);
  for (std::string line; reader.next(line);) {
    const std::string where = fmt::format("{}:{}", path.native(), reader.line_number());
    if (!is_valid_utf8(line)) throw Error(ExitCode::kData, where + ": this is not valid UTF-8");
    visit(line, where);
  }
}

std::string text_field(const Json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end()) return {};
  if (!found->is_string()) {
    throw Error(ExitCode::kData, fmt::format("{}: \"{}\" must be a text", where, key));
  }
  return found->get<std::string>();
}

std::string content_of(const data::Record& record) {
  if (record.messages.empty()) return record.text;
  std::string text;
  for (const data::Message& message : record.messages) {
    if (!text.empty()) text += '\n';
    text += message.content;
  }
  return text;
}

Hypothesis from_record(const data::Record& record) {
  Hypothesis hypothesis;
  hypothesis.is_record = true;
  hypothesis.text = content_of(record);
  hypothesis.source_id = record.id;
  for (const Json& entry : record.lineage) {
    if (!entry.is_object()) continue;
    const std::string stage = text_field(entry, "stage", "lineage");
    if (stage == "ingest" && entry.contains("row") && entry["row"].is_number_integer()) {
      hypothesis.row =
          static_cast<std::uint64_t>(std::max<std::int64_t>(0, entry["row"].get<std::int64_t>()));
    }
    if (stage == "translate") hypothesis.source_id = text_field(entry, "source_id", "lineage");
  }
  return hypothesis;
}

Hypothesis from_json_line(const std::string& line, const std::string& where) {
  const Json object = parse_json(line, where);
  if (!object.is_object()) throw Error(ExitCode::kData, where + ": this is not a JSON object");
  if (object.contains("lineage") || object.contains("messages")) {
    const auto record = data::from_line(line);
    if (!record) throw Error(ExitCode::kData, where + ": " + record.rejection().value);
    return from_record(record.value());
  }
  if (!object.contains("hypothesis")) {
    throw Error(ExitCode::kData, where + ": \"hypothesis\" is missing",
                "a line is {\"hypothesis\", \"source\", \"reference\"} or a record");
  }
  Hypothesis hypothesis;
  hypothesis.text = text_field(object, "hypothesis", where);
  hypothesis.source = text_field(object, "source", where);
  hypothesis.source_id = text_field(object, "id", where);
  if (object.contains("reference")) {
    hypothesis.references.push_back(text_field(object, "reference", where));
  }
  if (const auto several = object.find("references"); several != object.end()) {
    if (!several->is_array()) {
      throw Error(ExitCode::kData, where + ": \"references\" must be a list of texts");
    }
    for (const Json& one : *several) {
      if (!one.is_string()) {
        throw Error(ExitCode::kData, where + ": \"references\" must be a list of texts");
      }
      hypothesis.references.push_back(one.get<std::string>());
    }
  }
  return hypothesis;
}

/// A run folder stands for its stage translate.
fs::path stage_in(const fs::path& folder) {
  const fs::path stage = folder / "stages" / "translate";
  const bool is_run = !fs::exists(folder / "manifest.json") && fs::exists(stage / "manifest.json");
  return is_run ? stage : folder;
}

std::vector<Hypothesis> read_hypotheses(const fs::path& path) {
  std::vector<Hypothesis> all;
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    data::RecordReader reader(stage_in(path));
    for (data::Record record; reader.next(record);) all.push_back(from_record(record));
  } else if (has_json_lines(path)) {
    for_each_line(path, [&](const std::string& line, const std::string& where) {
      if (!trim(line).empty()) all.push_back(from_json_line(line, where));
    });
  } else {
    for_each_line(
        path, [&](const std::string& line, const std::string&) { all.emplace_back().text = line; });
  }
  if (all.empty()) throw Error(ExitCode::kData, path.native() + ": there is no translation in it");
  return all;
}

References read_references(const fs::path& path) {
  References references{path, {}, {}};
  if (!has_json_lines(path)) {
    for_each_line(path, [&](const std::string& line, const std::string&) {
      references.rows.push_back(line);
    });
    return references;
  }
  for_each_line(path, [&](const std::string& line, const std::string& where) {
    if (trim(line).empty()) return;
    const Json object = parse_json(line, where);
    if (!object.is_object() || !object.contains("reference")) {
      throw Error(ExitCode::kData, where + ": \"reference\" is missing",
                  "a line is {\"reference\"} or {\"id\", \"reference\"}");
    }
    const std::string id = text_field(object, "id", where);
    if (!id.empty() && !references.by_id.try_emplace(id, references.rows.size()).second) {
      throw Error(ExitCode::kData, fmt::format("{}: id {} stands there twice", where, id));
    }
    references.rows.push_back(text_field(object, "reference", where));
  });
  if (!references.by_id.empty() && references.by_id.size() != references.rows.size()) {
    throw Error(ExitCode::kData, path.native() + ": only some lines have an \"id\"");
  }
  return references;
}

/// Which row of `references` is that of hypothesis `index`.
std::size_t row_for(const Hypothesis& hypothesis, std::size_t index, const References& references) {
  std::optional<std::size_t> row;
  if (!references.by_id.empty()) {
    const auto found = references.by_id.find(hypothesis.source_id);
    if (found != references.by_id.end()) row = found->second;
  } else if (!hypothesis.is_record) {
    row = index;
  } else if (hypothesis.row >= 1) {
    row = hypothesis.row - 1;
  }
  if (row && *row < references.rows.size()) return *row;
  throw Error(ExitCode::kData,
              fmt::format("{}: no reference for {}", references.path.native(),
                          hypothesis.is_record
                              ? fmt::format("the record whose source is {} (row {})",
                                            printable(hypothesis.source_id), hypothesis.row)
                              : fmt::format("translation {}", index + 1)),
              "a record finds its reference by \"id\", or by the row that it was read from");
}

void check_lengths(const fs::path& path, const std::vector<Hypothesis>& hypotheses,
                   const References& references) {
  if (hypotheses.front().is_record || !references.by_id.empty() ||
      hypotheses.size() == references.rows.size()) {
    return;
  }
  throw Error(ExitCode::kData,
              fmt::format("{} has {} segments, {} has {}", path.native(), hypotheses.size(),
                          references.path.native(), references.rows.size()),
              "both must have one line a segment, in the same order");
}

}  // namespace

TranslationSet read_translations(const fs::path& path, std::span<const fs::path> reference_paths) {
  std::vector<Hypothesis> hypotheses = read_hypotheses(path);
  std::vector<References> files;
  for (const fs::path& reference : reference_paths) {
    files.push_back(read_references(reference));
    check_lengths(path, hypotheses, files.back());
  }
  TranslationSet set;
  set.name = path.native();
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    Hypothesis& hypothesis = hypotheses[i];
    std::vector<std::string> references;
    if (files.empty()) references = std::move(hypothesis.references);
    for (const References& file : files) {
      references.push_back(file.rows[row_for(hypothesis, i, file)]);
    }
    if (references.empty()) {
      throw Error(ExitCode::kUsage,
                  fmt::format("{}: segment {} has no reference", path.native(), i + 1),
                  "give --ref FILE");
    }
    set.sources.push_back(std::move(hypothesis.source));
    set.hypotheses.push_back(std::move(hypothesis.text));
    set.references.push_back(std::move(references));
  }
  for (const References& file : files) {
    std::unordered_set<std::size_t> used;
    for (std::size_t i = 0; i < hypotheses.size(); ++i) {
      if (!used.insert(row_for(hypotheses[i], i, file)).second) {
        throw Error(ExitCode::kData,
                    fmt::format("{}: two translations in {} have the same reference",
                                file.path.native(), path.native()),
                    "records of several files need references with an \"id\"");
      }
    }
    set.missing = std::max<std::uint64_t>(set.missing, file.rows.size() - used.size());
  }
  return set;
}

}  // namespace nativo::eval
