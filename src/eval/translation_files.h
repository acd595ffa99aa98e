// What `nativo eval translation` reads: translations and their references, from files of lines,
// from JSON lines, or from the records of the stage that translated. Rule: every segment is scored
// against its own reference; files that do not fit each other are refused, never cut to the shorter
// one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace nativo::eval {

/// One system's translations. The three lists have one length, at least 1.
struct TranslationSet {
  std::string name;                                  ///< the file's or the run's
  std::vector<std::string> sources;                  ///< "" where the file does not say
  std::vector<std::string> hypotheses;               ///< valid UTF-8
  std::vector<std::vector<std::string>> references;  ///< [segment][reference], each at least one
  std::uint64_t missing = 0;  ///< references without a translation: rows that the stage rejected
};

/// Reads one system. `hypotheses` is one of
///   a file whose name has .jsonl or .json: a line is {"hypothesis", "source"?, "reference"? or
///     "references"?} or a record (docs/formats/record.md)
///   a folder with a manifest.json: the records of that stage; a run folder: its stage translate
///   any other file ("-" = standard input): a segment a line
/// and each of `references` a file of lines, or of JSON lines {"reference", "id"?}. Without any,
/// the references in `hypotheses` are used. A record's reference is the one whose "id" is the
/// source's id; where references have none, the one in the row that the record was read from.
/// Compressed files are read too. Throws Error(kMissingInput, kData, kUsage) naming file and line.
[[nodiscard]] TranslationSet read_translations(const std::filesystem::path& hypotheses,
                                               std::span<const std::filesystem::path> references);

}  // namespace nativo::eval
