#include "filter/options.h"

#include <string_view>

namespace nativo::filter {
namespace {

void share(config::Visitor& v, std::string_view name, std::string_view help, double& value) {
  v.value({.name = name, .help = help, .min = 0.0, .max = 1.0}, value);
}

void count(config::Visitor& v, std::string_view name, std::string_view help, std::int64_t& value) {
  v.value({.name = name, .help = help, .min = 0.0, .max = 1e12}, value);
}

}  // namespace

void FilterOptions::visit(config::Visitor& v) {
  share(v, "min_language_score", "least share of a text's letters in its language",
        min_language_score);
  v.value({.name = "only_target", .help = "drop records that are not in the run's language"},
          only_target);
  share(v, "max_untranslated", "most of a translated text that may still be English",
        max_untranslated);
  share(v, "max_unknown_words", "most words that the translator may not have known",
        max_unknown_words);
  count(v, "min_tokens", "shortest conversation, in tokens", min_tokens);
  count(v, "min_document_tokens", "shortest document, in tokens", min_document_tokens);
  count(v, "max_tokens", "longest record, in tokens; 0 = no limit", max_tokens);
  share(v, "max_duplicate_lines", "most lines of a document that repeat an earlier one",
        max_duplicate_lines);
  share(v, "max_top_2gram", "most characters in the commonest pair of words", max_top_ngram[0]);
  share(v, "max_top_3gram", "most characters in the commonest 3 words", max_top_ngram[1]);
  share(v, "max_top_4gram", "most characters in the commonest 4 words", max_top_ngram[2]);
  constexpr std::array<std::string_view, 6> kNames = {
      "max_duplicate_5gram", "max_duplicate_6gram", "max_duplicate_7gram",
      "max_duplicate_8gram", "max_duplicate_9gram", "max_duplicate_10gram"};
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    share(v, kNames[i], "most characters in repeated runs of that many words",
          max_duplicate_ngram[i]);
  }
  share(v, "max_duplicate_characters", "most characters of a document in repeated lines",
        max_duplicate_characters);
  count(v, "max_loop", "longest run of words that says the same 1 to 4 words over and over",
        max_loop);
  v.value({.name = "min_mean_word_length",
           .help = "shortest mean word of a document, in characters",
           .min = 0.0,
           .max = 1000.0},
          min_mean_word_length);
  v.value({.name = "max_mean_word_length",
           .help = "longest mean word of a document, in characters",
           .min = 0.0,
           .max = 1000.0},
          max_mean_word_length);
  share(v, "min_alphabetic_words", "least share of a document's words with a letter",
        min_alphabetic_words);
  share(v, "min_line_punctuation", "least share of a document's lines that end a sentence",
        min_line_punctuation);
  v.value({.name = "max_newline_ratio",
           .help = "most line breaks a word in a document",
           .min = 0.0,
           .max = 1000.0},
          max_newline_ratio);
  count(v, "min_stop_words", "fewest stop words in a text of 30 words or more", min_stop_words);
  v.value({.name = "stop_words", .help = "the language's stop words; empty = built in (it, en)"},
          stop_words);
}

}  // namespace nativo::filter
