#include "text/tokenizer.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "io/file.h"
#include "text/sentencepiece_model.h"

namespace nativo::text {
namespace {

// Far above any record, far below where the library's int positions end.
constexpr std::size_t kMaxTextBytes = std::size_t{256} << 20;

[[noreturn]] void library_refuses(std::string_view name,
                                  const sentencepiece::util::Status& status) {
  throw Error(ExitCode::kData, fmt::format("{}: not a usable sentencepiece model: {}",
                                           printable(name), printable(status.ToString())));
}

}  // namespace

struct Tokenizer::State {
  sentencepiece::SentencePieceProcessor processor;
  std::vector<PieceType> types;
  std::string bytes;
  std::string sha256;
  std::string name;

  [[nodiscard]] bool known(TokenId id) const {
    return id >= 0 && static_cast<std::size_t>(id) < types.size();
  }
  [[nodiscard]] PieceType type(TokenId id) const { return types[static_cast<std::size_t>(id)]; }
  void require_known(TokenId id) const {
    if (!known(id)) {
      throw Error(ExitCode::kData,
                  fmt::format("{}: token id {} is outside the vocabulary of {} pieces",
                              printable(name), id, types.size()),
                  "the tokenizer and the model do not belong together");
    }
  }
};

Tokenizer::Tokenizer() = default;
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Tokenizer::Tokenizer(const std::filesystem::path& path)
    : Tokenizer(from_bytes(io::read_file(path, kMaxModelBytes), path.string())) {}

Tokenizer Tokenizer::from_bytes(std::string bytes, std::string_view name) {
  Tokenizer tokenizer;
  tokenizer.state_ = std::make_unique<State>();
  State& state = *tokenizer.state_;
  state.name = name;
  state.types = check_sentencepiece_model(bytes, name);
  const auto status = state.processor.LoadFromSerializedProto(bytes);
  if (!status.ok()) library_refuses(name, status);
  if (static_cast<std::size_t>(state.processor.GetPieceSize()) != state.types.size()) {
    throw Error(ExitCode::kData, printable(name) + ": two readers count different pieces");
  }
  state.sha256 = sha256_hex(bytes);
  state.bytes = std::move(bytes);
  return tokenizer;
}

std::vector<TokenId> Tokenizer::encode(std::string_view text) const {
  if (text.size() > kMaxTextBytes) {
    throw Error(ExitCode::kData, "a text of more than 256 MiB cannot be tokenized in one piece");
  }
  std::vector<int> ids;
  const auto status = state_->processor.Encode(text, &ids);
  if (!status.ok()) library_refuses(state_->name, status);
  return ids;
}

std::string Tokenizer::decode(std::span<const TokenId> ids) const {
  std::vector<int> visible;
  visible.reserve(ids.size());
  for (const TokenId id : ids) {
    state_->require_known(id);
    if (state_->type(id) != PieceType::kControl) visible.push_back(id);
  }
  if (visible.empty()) return {};
  std::string text;
  const auto status = state_->processor.Decode(visible, &text);
  if (!status.ok()) library_refuses(state_->name, status);
  return text;
}

TokenId Tokenizer::piece_id(std::string_view piece) const {
  const TokenId id = state_->processor.PieceToId(piece);
  return state_->known(id) && state_->processor.IdToPiece(id) == piece ? id : -1;
}

std::string Tokenizer::piece(TokenId id) const {
  state_->require_known(id);
  return state_->processor.IdToPiece(id);
}

bool Tokenizer::is_control(TokenId id) const {
  state_->require_known(id);
  return state_->type(id) == PieceType::kControl;
}

std::int64_t Tokenizer::vocab_size() const {
  return static_cast<std::int64_t>(state_->types.size());
}
TokenId Tokenizer::bos_id() const { return state_->processor.bos_id(); }
TokenId Tokenizer::eos_id() const { return state_->processor.eos_id(); }
const std::string& Tokenizer::model_bytes() const { return state_->bytes; }
const std::string& Tokenizer::sha256() const { return state_->sha256; }

}  // namespace nativo::text
