// A sentencepiece model as translation models use it: text to pieces and back, both as they are
// spelled. Not here: ids (text/tokenizer.h); a translation model has its own for the same pieces.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nativo::text {

/// Thread-safe after construction.
class SentencePieces {
 public:
  /// From the bytes of a sentencepiece.model. Throws Error(kData) that names `name`.
  SentencePieces(std::string_view bytes, std::string_view name);
  ~SentencePieces();
  SentencePieces(SentencePieces&&) noexcept;
  SentencePieces& operator=(SentencePieces&&) noexcept;

  /// The pieces of `text` (well-formed UTF-8). Letters that the model lacks come as they are, not
  /// as its unknown piece.
  [[nodiscard]] std::vector<std::string> encode(std::string_view text) const;
  /// Their text. What is no piece of the model stands for itself.
  [[nodiscard]] std::string decode(std::span<const std::string> pieces) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nativo::text
