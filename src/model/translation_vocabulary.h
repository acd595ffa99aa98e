// The tokens of a translation model, and the shortlist that tells which target tokens a source
// sentence may need. Not here: cutting text into tokens (text/tokenizer.h).
// Rule: an id is a token's place in the file; what is not there is the unknown token.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nativo::model {

class TranslationVocabulary {
 public:
  /// `tokens` by id; of doubled tokens the first is the one that find() knows. `unknown` is
  /// appended when it is not among them.
  TranslationVocabulary(std::vector<std::string> tokens, const std::string& unknown);

  [[nodiscard]] std::int32_t size() const { return static_cast<std::int32_t>(tokens_.size()); }
  [[nodiscard]] const std::string& token(std::int32_t id) const;
  [[nodiscard]] std::optional<std::int32_t> find(std::string_view token) const;
  /// The token's id, or the unknown token's.
  [[nodiscard]] std::int32_t id(std::string_view token) const;
  [[nodiscard]] std::int32_t unknown() const { return unknown_; }

 private:
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, std::int32_t> ids_;
  std::int32_t unknown_ = 0;
};

/// One token a line. A '\r' at the end belongs to the token unless every line has one.
[[nodiscard]] std::vector<std::string> parse_vocabulary_text(std::string_view content);

/// A JSON list of strings. Throws Error(kData) naming `where`.
[[nodiscard]] std::vector<std::string> parse_vocabulary_json(std::string_view content,
                                                             std::string_view where);

/// vmap.txt: lines of source tokens (joined by spaces), a tab, target tokens (joined by spaces).
/// The empty source stands for every sentence.
class VocabularyMap {
 public:
  /// Throws Error(kData) naming `where` and the line when a line has no tab or a source of more
  /// than 16 tokens.
  VocabularyMap(std::string_view content, const TranslationVocabulary& target,
                std::string_view where);

  /// Target ids that a translation of `source` may use, ascending: those of every run of source
  /// tokens that the file lists, and those of the empty source.
  [[nodiscard]] std::vector<std::int32_t> candidates(std::span<const std::string> source) const;

 private:
  std::vector<std::unordered_map<std::string, std::vector<std::int32_t>>> by_length_;
};

}  // namespace nativo::model
