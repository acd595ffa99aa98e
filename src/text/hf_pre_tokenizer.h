// "pre_tokenizer" of a tokenizer.json: cuts normalised text into the pieces that the model encodes
// one by one.
#pragma once

#include <simdjson.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/aligned_text.h"

namespace nativo::text {

/// A text and the pieces of it, ascending and not empty; what lies between them is dropped.
struct PreTokenized {
  using Span = ByteRange;
  AlignedText text;
  std::vector<Span> pieces;
  bool starts_text = false;  ///< the first piece begins where the whole text began
  std::vector<Span> scratch;
  std::vector<Span> matches;
};

/// Pre-tokenisers one after another: ByteLevel, Metaspace, Split, Digits, Whitespace,
/// WhitespaceSplit, Punctuation, BertPreTokenizer, CharDelimiterSplit, Sequence. Immutable.
class HfPreTokenizer {
 public:
  HfPreTokenizer() = default;  ///< leaves texts whole
  /// Throws Error(kData) that names `path` and the key that is not known.
  HfPreTokenizer(simdjson::dom::element json, std::string_view path);

  /// Cuts what `text` holds: one piece at first.
  void operator()(PreTokenized& text) const;

  /// True when the model is given bytes that its vocabulary spells in the byte alphabet.
  [[nodiscard]] bool byte_level() const { return byte_level_; }

 private:
  using Step = std::function<void(PreTokenized&)>;
  void add(simdjson::dom::element json, const std::string& path, int depth);
  void add_byte_level(class JsonObject& object);
  void add_metaspace(class JsonObject& object);
  void add_split(class JsonObject& object);

  std::vector<Step> steps_;
  bool byte_level_ = false;
};

}  // namespace nativo::text
