// sentencepiece's precompiled character map: a double-array trie (darts-clone) from sequences of
// characters to their replacements.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/aligned_text.h"

namespace nativo::text {

/// The map of a Precompiled normaliser; immutable.
class Charsmap {
 public:
  /// `blob`: the number of the trie's bytes (u32), the trie, NUL-ended strings. Throws Error(kData)
  /// when a walk could leave it.
  explicit Charsmap(std::string_view blob);

  /// Rewrites `text` as Hugging Face tokenizers does: grapheme clusters of up to five bytes as a
  /// whole, else letter by letter; of several rules the shortest decides.
  void normalize(AlignedText& text) const;

 private:
  [[nodiscard]] std::optional<std::string_view> find(std::string_view letters) const;

  std::vector<std::uint32_t> units_;
  std::string strings_;
};

}  // namespace nativo::text
