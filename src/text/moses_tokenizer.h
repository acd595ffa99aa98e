// Text to words and back as Moses's scripts have it (tokenizer.perl, detokenizer.perl,
// normalize-punctuation.perl, github.com/moses-smt/mosesdecoder): what translation models of the
// BPE generation were trained on. Not here: cutting words into subwords (text/bpe_codes.h).
// Rule: what comes out is what sacremoses 0.1.1 gives with the settings that Argos Translate uses.
// It differs where the text spells sacremoses's own marks ("DOTMULTI"), which stay here, and in the
// detokenizer's rules for Czech, which are not known here.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace nativo::text {

/// Quotation marks, dashes, unbreakable spaces and brackets as Moses wants them; white space at the
/// ends goes. `text` is valid UTF-8. `lang` decides about commas after quotes and between digits.
[[nodiscard]] std::string moses_normalize(std::string_view text, std::string_view lang);

/// Immutable; thread-safe.
class MosesTokenizer {
 public:
  /// `lang` (ISO 639-1) decides about apostrophes and about abbreviations that keep their full
  /// stop; a language without a list has the English one.
  explicit MosesTokenizer(std::string_view lang);

  /// Words and marks of `text` (valid UTF-8): "It's 5%." is "It", "&apos;s", "5", "%", ".". The
  /// characters & | < > ' " [ ] are escaped as in XML.
  [[nodiscard]] std::vector<std::string> tokenize(std::string_view text) const;

 private:
  void separate_full_stops(std::vector<std::u32string>& words) const;

  enum class Apostrophe : std::uint8_t { kAlone, kEnglish, kFrench };
  Apostrophe apostrophe_ = Apostrophe::kAlone;
  std::uint32_t alnum_;  ///< classes of letters inside words
  std::uint32_t alpha_;
  std::unordered_set<std::string_view> abbreviations_;
  std::unordered_set<std::string_view> before_numbers_;  ///< abbreviations only there
};

/// Joins `tokens` into text: marks go to their words, escapes are undone.
[[nodiscard]] std::string moses_detokenize(std::span<const std::string> tokens,
                                           std::string_view lang);

}  // namespace nativo::text
