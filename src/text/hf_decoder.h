// "decoder" of a tokenizer.json: the spellings of tokens back to text.
#pragma once

#include <simdjson.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace nativo::text {

/// Decoders one after another: ByteLevel, ByteFallback, Fuse, Strip, Replace, Metaspace, WordPiece,
/// BPEDecoder, Sequence. Immutable.
class HfDecoder {
 public:
  HfDecoder() = default;  ///< joins tokens with spaces
  /// Throws Error(kData) that names `path` and the key that is not known.
  HfDecoder(simdjson::dom::element json, std::string_view path);

  /// The text of `tokens`: well-formed UTF-8.
  [[nodiscard]] std::string operator()(std::vector<std::string> tokens) const;

 private:
  using Tokens = std::vector<std::string>;
  void add(simdjson::dom::element json, const std::string& path, int depth);
  void add_strip(class JsonObject& object);
  void add_metaspace(class JsonObject& object);
  void add_word_piece(class JsonObject& object);

  std::vector<std::function<void(Tokens&)>> steps_;
  bool present_ = false;
};

}  // namespace nativo::text
