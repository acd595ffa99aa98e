#include "text/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "text/aligned_text.h"
#include "text/hf_tokenizer.h"
#include "text/sentencepiece_model.h"
#include "text/sentencepiece_tokenizer.h"

namespace nativo::text {
namespace {

namespace fs = std::filesystem;

// Far above any record, far below where the library's int positions end.
constexpr std::size_t kMaxTextBytes = std::size_t{256} << 20;

bool is_json(std::string_view bytes) {
  const std::size_t first = bytes.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && bytes[first] == '{';
}

}  // namespace

struct Tokenizer::State {
  std::unique_ptr<TokenizerModel> model;
  TokenId bos = -1;
  TokenId eos = -1;
  std::vector<TokenId> ends;
  TokenizerFiles files;
  bool hugging_face = false;
  std::string sha256;
  std::string name;

  /// What the files say, the main one first.
  void find_ends() {
    const NamedTokens named = named_tokens(files);
    const auto known = [this](TokenId id) { return id < model->vocab_size() ? id : -1; };
    const auto choose = [&](TokenId own, const NamedToken& token) {
      if (own >= 0) return own;
      const TokenId spelled = token.piece.empty() ? -1 : model->piece_id(token.piece);
      return spelled >= 0 ? spelled : known(token.id);
    };
    bos = choose(model->bos_id(), named.bos);
    eos = choose(model->eos_id(), named.eos);
    for (const TokenId id : named.ends) ends.push_back(known(id));
    ends.push_back(eos);
    std::erase(ends, -1);
    std::ranges::sort(ends);
    ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  }

  void encode(std::string_view text, const EncodeOptions& options, Encoding& out,
              bool offsets) const {
    if (text.size() > kMaxTextBytes) {
      throw Error(ExitCode::kData, "a text of more than 256 MiB cannot be tokenized in one piece");
    }
    if (is_valid_utf8(text)) {
      model->encode(text, options, out, offsets);
      return;
    }
    if (!options.special.literal.empty()) {
      throw Error(ExitCode::kData, "a conversation is not UTF-8");
    }
    const AlignedText mended = aligned_utf8(text, offsets);
    model->encode(mended.text(), options, out, offsets);
    for (ByteRange& range : out.offsets) range = mended.origin(range);
  }

  void require_known(TokenId id) const {
    if (id < 0 || id >= model->vocab_size()) {
      throw Error(ExitCode::kData,
                  fmt::format("{}: token id {} is outside the vocabulary of {} pieces",
                              printable(name), id, model->vocab_size()),
                  "the tokenizer and the model do not belong together");
    }
  }
};

Tokenizer::Tokenizer() = default;
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Tokenizer::Tokenizer(const fs::path& path)
    : Tokenizer(from_files(read_tokenizer_files(path), find_tokenizer(path).string())) {}

Tokenizer Tokenizer::from_bytes(std::string bytes, std::string_view name) {
  TokenizerFiles files;
  files[is_json(bytes) ? kHfTokenizerFile : kSentencePieceFile] = std::move(bytes);
  return from_files(std::move(files), name);
}

Tokenizer Tokenizer::from_files(TokenizerFiles files, std::string_view name) {
  Tokenizer tokenizer;
  tokenizer.state_ = std::make_unique<State>();
  State& state = *tokenizer.state_;
  state.name = name;
  state.hugging_face = files.contains(kHfTokenizerFile);
  if (!state.hugging_face && !files.contains(kSentencePieceFile)) {
    throw Error(ExitCode::kMissingInput, printable(name) + ": no tokenizer among these files");
  }
  state.files = std::move(files);
  const std::string& bytes = tokenizer.model_bytes();
  state.sha256 = sha256_hex(bytes);
  state.model = state.hugging_face ? make_hf_tokenizer(state.files, name)
                                   : make_sentencepiece_tokenizer(bytes, name);
  state.find_ends();
  state.files.erase("config.json");
  return tokenizer;
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  Encoding encoding;
  state_->encode(text, options, encoding, false);
  return std::move(encoding.ids);
}

Encoding Tokenizer::encode_with_offsets(std::string_view text, const EncodeOptions& options) const {
  Encoding encoding;
  state_->encode(text, options, encoding, true);
  return encoding;
}

std::string Tokenizer::decode(std::span<const TokenId> ids, SpecialText special) const {
  for (const TokenId id : ids) state_->require_known(id);
  return state_->model->decode(ids, special);
}

TokenId Tokenizer::piece_id(std::string_view piece) const { return state_->model->piece_id(piece); }

std::string Tokenizer::piece(TokenId id) const {
  state_->require_known(id);
  return state_->model->piece(id);
}

bool Tokenizer::is_control(TokenId id) const {
  state_->require_known(id);
  return state_->model->is_control(id);
}

std::int64_t Tokenizer::vocab_size() const { return state_->model->vocab_size(); }
TokenId Tokenizer::bos_id() const { return state_->bos; }
TokenId Tokenizer::eos_id() const { return state_->eos; }
const std::vector<TokenId>& Tokenizer::end_ids() const { return state_->ends; }
const TokenizerFiles& Tokenizer::files() const { return state_->files; }
bool Tokenizer::is_hugging_face() const { return state_->hugging_face; }
const std::string& Tokenizer::model_bytes() const {
  return state_->files.at(state_->hugging_face ? kHfTokenizerFile : kSentencePieceFile);
}
const std::string& Tokenizer::sha256() const { return state_->sha256; }

}  // namespace nativo::text
