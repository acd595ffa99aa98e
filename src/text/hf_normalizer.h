// "normalizer" of a tokenizer.json: text to the text that the vocabulary is spelled in.
#pragma once

#include <simdjson.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/aligned_text.h"
#include "text/code_point_classes.h"

namespace nativo::text {

/// Normalisers one after another: NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Replace,
/// Prepend, BertNormalizer, Precompiled, Sequence. Immutable.
class HfNormalizer {
 public:
  HfNormalizer() = default;  ///< leaves texts as they are
  /// Throws Error(kData) that names `path` and the key that is not known.
  HfNormalizer(simdjson::dom::element json, std::string_view path);

  /// Rewrites well-formed UTF-8, which it stays.
  void operator()(AlignedText& text) const;
  [[nodiscard]] std::string normalized(std::string_view text) const;
  [[nodiscard]] bool empty() const { return steps_.empty(); }

 private:
  using Step = std::function<void(AlignedText&)>;
  void add(simdjson::dom::element json, const std::string& path, int depth);
  void add_unicode(std::string_view form);
  void add_marks(Letters dropped);
  void add_bert(bool clean, bool space_cjk, bool strip_accents, bool lowercase);

  std::vector<Step> steps_;
};

/// "pattern" of Replace and Split: {"String": ..} or {"Regex": ..}.
class HfPattern {
 public:
  HfPattern(simdjson::dom::element json, std::string_view path);
  /// Spans of all matches in `text`, offsets from `base` on, appended.
  void find_all(std::string_view text, std::size_t base, std::vector<ByteRange>& matches) const;

 private:
  std::string literal_;
  std::shared_ptr<const class SplitPattern> pattern_;  ///< null: literal_
};

/// Replaces every match in `text` by `content`, which is no template.
void replace_matches(AlignedText& text, const HfPattern& pattern, std::string_view content);

}  // namespace nativo::text
