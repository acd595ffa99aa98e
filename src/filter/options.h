// The filter's thresholds. Defaults are FineWeb-2's for Italian (configs/ita_Latn.yml, GlotLID
// words counted by datatrove) unless a comment says otherwise.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "config/visitor.h"

namespace nativo::filter {

/// [filter]
struct FilterOptions {
  // Language. GlotLID's .817 is a classifier's confidence; CLD2's score is the share of the letters
  // that is in the language, so that another number is needed: at least two thirds of a text.
  double min_language_score = 0.65;
  bool only_target = true;
  double max_untranslated = 0.1;
  double max_unknown_words = 0.25;

  // Length.
  std::int64_t min_tokens = 3;
  std::int64_t min_document_tokens = 50;
  std::int64_t max_tokens = 100000;

  // Repetition.
  double max_duplicate_lines = 0.246;
  std::array<double, 3> max_top_ngram = {0.198, 0.156, 0.133};  ///< n = 2, 3, 4
  std::array<double, 6> max_duplicate_ngram = {0.144, 0.136, 0.127, 0.118, 0.109, 0.1};  ///< 5..10
  double max_duplicate_characters = 0.1;
  std::int64_t max_loop = 10;

  // Shape.
  double min_mean_word_length = 3.0;
  double max_mean_word_length = 21.0;
  double min_alphabetic_words = 0.807;
  double min_line_punctuation = 0.025;
  double max_newline_ratio = 0.2;
  std::int64_t min_stop_words = 2;
  std::vector<std::string> stop_words;

  void visit(config::Visitor& v);
};

}  // namespace nativo::filter
