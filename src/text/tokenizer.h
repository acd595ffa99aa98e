// Bytes to token ids and back, with sentencepiece models (Mistral's tokenizer.model v1-v3 and our
// own small ones). Not here: chat formats (text/chat_format.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nativo::text {

using TokenId = std::int32_t;

/// A loaded sentencepiece model. Thread-safe after construction.
class Tokenizer {
 public:
  /// Loads `path`; throws Error(kMissingInput), or Error(kData) when the file is not a
  /// sentencepiece model (BPE or unigram) or its sizes are beyond what the library survives (piece
  /// > 1 KiB, > 1 M pieces, > 64 MiB).
  explicit Tokenizer(const std::filesystem::path& path);
  /// From bytes; `name` is for messages.
  static Tokenizer from_bytes(std::string bytes, std::string_view name);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// Ids of `text`, without BOS or EOS. Pieces of control symbols in the text are plain text:
  /// nobody can smuggle a control token in.
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text) const;
  /// Text of `ids`; control tokens give nothing. Joined bytes that are not UTF-8 become U+FFFD.
  /// Throws Error(kData) for an id outside the vocabulary. decode(encode(t)) = t for UTF-8 without
  /// U+2581, which sentencepiece uses for the space.
  [[nodiscard]] std::string decode(std::span<const TokenId> ids) const;
  /// The id of a piece by its exact name ("[INST]", "<s>"), or -1.
  [[nodiscard]] TokenId piece_id(std::string_view piece) const;
  [[nodiscard]] std::string piece(TokenId id) const;
  /// True for control pieces: never made by encode(), nothing in decode().
  [[nodiscard]] bool is_control(TokenId id) const;

  [[nodiscard]] std::int64_t vocab_size() const;
  /// -1 when the model has no such piece.
  [[nodiscard]] TokenId bos_id() const;
  [[nodiscard]] TokenId eos_id() const;
  /// The model file's bytes, to be copied beside the weights, and their SHA-256.
  [[nodiscard]] const std::string& model_bytes() const;
  [[nodiscard]] const std::string& sha256() const;

 private:
  Tokenizer();
  struct State;
  std::unique_ptr<State> state_;
};

/// Trains a BPE model with byte fallback and identity normaliser (Mistral's settings; unk/bos/eos =
/// 0/1/2) on `texts`, deterministically: the same texts give the same bytes. Lines are cut at 4
/// KiB, lines that are not UTF-8 are left out; newlines and tabs become byte tokens. `vocab_size`
/// includes `control_pieces`, extra control symbols placed from id 3 on ("[INST]", "[/INST]").
/// Returns the model's bytes. Throws Error(kData) when the texts are too few for the vocabulary,
/// with the size that would fit.
[[nodiscard]] std::string train_tokenizer(const std::vector<std::string>& texts,
                                          std::int64_t vocab_size,
                                          const std::vector<std::string>& control_pieces);

}  // namespace nativo::text
