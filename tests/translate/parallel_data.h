// Human translations for tests that are run with NATIVO_DATA.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "io/lines.h"

namespace nativo::translate {

using Pair = std::pair<std::string, std::string>;  ///< English, Italian

/// "" when there is no data here.
inline std::filesystem::path parallel_data() {
  const char* folder = std::getenv("NATIVO_DATA");
  return folder == nullptr ? "" : folder;
}

inline std::vector<std::string> lines_of(const std::filesystem::path& path) {
  std::vector<std::string> lines;
  io::LineReader reader(path);
  for (std::string line; reader.next(line);) lines.push_back(line);
  return lines;
}

/// Two columns, tab between them.
inline std::vector<Pair> pairs_of_table(const std::filesystem::path& path) {
  std::vector<Pair> pairs;
  for (const std::string& line : lines_of(path)) {
    const std::vector<std::string_view> columns = split(line, '\t');
    if (columns.size() >= 2) pairs.emplace_back(columns[0], columns[1]);
  }
  return pairs;
}

inline std::vector<Pair> pairs_of_lines(const std::filesystem::path& from,
                                        const std::filesystem::path& to) {
  const std::vector<std::string> a = lines_of(from);
  const std::vector<std::string> b = lines_of(to);
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) pairs.emplace_back(a[i], b[i]);
  return pairs;
}

struct ParallelSet {
  std::string name;
  std::vector<Pair> pairs;
};

/// Running text, as instruction data has it.
inline std::vector<ParallelSet> prose_sets() {
  const std::filesystem::path data = parallel_data();
  return {
      {"flores", pairs_of_lines(data / "parallel_flores/flores-dev.en",
                                data / "parallel_flores/flores-dev.it")},
      {"pud", pairs_of_table(data / "parallel_pud/pud.en-it.tsv")},
      {"tatoeba", pairs_of_table(data / "parallel_tatoeba/eng-ita.train.tsv.gz")},
      {"cocoa", pairs_of_lines(data / "parallel_cocoa/topical_chat.train.en",
                               data / "parallel_cocoa/topical_chat.train.formal.it")},
      {"cocoa telephony", pairs_of_lines(data / "parallel_cocoa/telephony.train.en",
                                         data / "parallel_cocoa/telephony.train.informal.it")},
  };
}

/// Text full of markup, code and placeholders.
inline std::vector<ParallelSet> markup_sets() {
  const std::filesystem::path data = parallel_data();
  return {
      {"mozilla", pairs_of_table(data / "parallel_mozilla_www/mozorg.en-it.train.tsv.gz")},
      {"tldr", pairs_of_table(data / "parallel_tldr/tldr.en-it.train.tsv.gz")},
      {"godot", pairs_of_table(data / "parallel_godot/godot.en-it.tsv.gz")},
  };
}

}  // namespace nativo::translate
