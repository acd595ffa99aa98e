// A glossary: terms of the source language and what each must be in the translation. A file of
// lines
//     source TAB target [TAB flags [TAB anything]]
// Flags, with commas: "case" (as it is written only), "keep" (target = source, for names; the
// target may be left out), "word" (whole words, as always). '#' begins a comment line. Format:
// docs/translation-text.md.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nativo::text {

struct GlossaryEntry {
  std::string source;
  std::string target;
  bool match_case = false;
  bool operator==(const GlossaryEntry&) const = default;
};

/// Where a term ends, and which one it is.
struct GlossaryMatch {
  std::size_t end = std::string_view::npos;  ///< npos: no term here
  const GlossaryEntry* entry = nullptr;
};

class Glossary {
 public:
  Glossary() = default;

  /// Throws Error(kData) that names `file` and the line: no tab, an empty term, a term that begins
  /// with no letter or digit, an unknown flag, two targets for one term, bytes that are not UTF-8.
  [[nodiscard]] static Glossary parse(std::string_view bytes, const std::string& file);

  /// Reads and parses; Error(kMissingInput) when the file is not there. May be compressed.
  [[nodiscard]] static Glossary load(const std::filesystem::path& path);

  /// The longest term that stands at byte `i` of `text` as whole words: no letter, digit, '_',
  /// hyphened part or possessive 's touches it. Capitals do not matter unless the entry says so;
  /// one blank stands for any row of blanks. An entry for just this case wins over one for any.
  [[nodiscard]] GlossaryMatch match(std::string_view text, std::size_t i) const;

  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] const std::vector<GlossaryEntry>& entries() const { return entries_; }

 private:
  void index();

  std::vector<GlossaryEntry> entries_;
  /// By the first word, case folded: numbers of entries, the longest first.
  std::unordered_map<std::string, std::vector<std::size_t>> by_word_;
};

/// `target` with the capital of `occurrence` when that has one where the glossary's `source` has
/// none (the first word of a sentence), and all in capitals when it is.
[[nodiscard]] std::string in_case_of(const GlossaryEntry& entry, std::string_view occurrence);

/// True when bytes [begin, end) are whole words of `text` in the sense of Glossary::match.
[[nodiscard]] bool are_whole_words(std::string_view text, std::size_t begin, std::size_t end);

}  // namespace nativo::text
