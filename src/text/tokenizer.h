// Bytes to token ids and back, with sentencepiece models (Mistral's tokenizer.model v1-v3 and our
// own small ones) and Hugging Face's tokenizer.json (byte-level BPE, BPE with byte fallback,
// Unigram, WordPiece). Not here: chat formats (text/chat_format.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/byte_range.h"
#include "text/piece_table.h"
#include "text/tokenizer_files.h"

namespace nativo::text {

/// What encode() does with control tokens.
struct EncodeOptions {
  /// Where the text may spell them. By default nowhere: nobody can smuggle one in.
  SpecialTokens special = {};
  /// Adds what the model expects around a text (BOS, EOS, [CLS] ...), as its file says.
  bool add_special = false;
};

/// What decode() gives for control tokens.
enum class SpecialText { kSkip, kKeep };

/// Ids and, by id, the bytes of the text that it stands for. A token that the text does not spell
/// has an empty range, and so have all but one of the byte tokens that sentencepiece makes of one
/// letter. Where a normaliser changed letters, the range holds the letters that it changed.
struct Encoding {
  std::vector<TokenId> ids = {};
  std::vector<ByteRange> offsets = {};
};

/// What Tokenizer stands on: one kind of file. Thread-safe.
class TokenizerModel {
 public:
  virtual ~TokenizerModel() = default;
  /// Appends to `out`, its offsets only if asked. `text` is well-formed UTF-8 of at most 256 MiB.
  virtual void encode(std::string_view text, const EncodeOptions& options, Encoding& out,
                      bool offsets) const = 0;
  /// `ids` are inside the vocabulary.
  [[nodiscard]] virtual std::string decode(std::span<const TokenId> ids,
                                           SpecialText special) const = 0;
  [[nodiscard]] virtual TokenId piece_id(std::string_view piece) const = 0;
  [[nodiscard]] virtual std::string piece(TokenId id) const = 0;
  [[nodiscard]] virtual bool is_control(TokenId id) const = 0;
  [[nodiscard]] virtual std::int64_t vocab_size() const = 0;
  /// As the file itself says, or -1 where it is said beside it.
  [[nodiscard]] virtual TokenId bos_id() const { return -1; }
  [[nodiscard]] virtual TokenId eos_id() const { return -1; }
};

/// A loaded tokenizer. Thread-safe after construction.
class Tokenizer {
 public:
  /// Loads `path`, a file or a model's folder; throws Error(kMissingInput), or Error(kData) when
  /// the file is not a usable tokenizer: a sentencepiece model (BPE or unigram) of sizes that the
  /// library survives, or a tokenizer.json all of whose keys are known (the unknown one is named).
  explicit Tokenizer(const std::filesystem::path& path);
  /// From what read_tokenizer_files() gives; `name` is for messages.
  static Tokenizer from_files(TokenizerFiles files, std::string_view name);
  /// From the bytes of a tokenizer.model or a tokenizer.json ('{' begins it).
  static Tokenizer from_bytes(std::string bytes, std::string_view name);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// Ids of `text`, without BOS or EOS unless `options` ask for them. Control tokens that the text
  /// spells are letters unless `options` say otherwise. Bytes that are not UTF-8 become U+FFFD
  /// first (literal ranges are then an Error(kData)). Ids are those of the file's own library, for
  /// either choice.
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text,
                                            const EncodeOptions& options = {}) const;
  /// The same ids and where each one comes from in `text`.
  [[nodiscard]] Encoding encode_with_offsets(std::string_view text,
                                             const EncodeOptions& options = {}) const;
  /// Text of `ids`; by default control tokens give nothing. Joined bytes that are not UTF-8 become
  /// U+FFFD. Throws Error(kData) for an id outside the vocabulary. decode(encode(t)) = t for UTF-8
  /// without U+2581, which stands for the space, unless a tokenizer.json normalises or has pieces
  /// for some letters only.
  [[nodiscard]] std::string decode(std::span<const TokenId> ids,
                                   SpecialText special = SpecialText::kSkip) const;
  /// The id of a piece by its exact spelling in the file ("[INST]", "<s>", "Ġciao"), or -1.
  [[nodiscard]] TokenId piece_id(std::string_view piece) const;
  /// Its inverse; "" for an id that the vocabulary leaves out.
  [[nodiscard]] std::string piece(TokenId id) const;
  /// True for control tokens: made by encode() only where its options say so, nothing in decode().
  [[nodiscard]] bool is_control(TokenId id) const;

  /// One more than the largest id.
  [[nodiscard]] std::int64_t vocab_size() const;
  /// -1 when there is no such token. A tokenizer.json does not say: see named_tokens().
  [[nodiscard]] TokenId bos_id() const;
  [[nodiscard]] TokenId eos_id() const;
  /// Ids that end an answer: eos_id() and those that generation_config.json adds, ascending.
  [[nodiscard]] const std::vector<TokenId>& end_ids() const;
  /// What was read (but config.json), to be copied beside the weights.
  [[nodiscard]] const TokenizerFiles& files() const;
  /// True for a tokenizer.json.
  [[nodiscard]] bool is_hugging_face() const;
  /// The main file's bytes, and their SHA-256.
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
