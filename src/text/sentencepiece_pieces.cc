#include "text/sentencepiece_pieces.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include "base/error.h"
#include "base/strings.h"
#include "text/sentencepiece_model.h"

namespace nativo::text {

struct SentencePieces::State {
  std::string name;
  sentencepiece::SentencePieceProcessor processor;

  void require(const sentencepiece::util::Status& status) const {
    if (status.ok()) return;
    throw Error(ExitCode::kData, fmt::format("{}: not a usable sentencepiece model: {}",
                                             printable(name), printable(status.ToString())));
  }
};

SentencePieces::SentencePieces(std::string_view bytes, std::string_view name)
    : state_(std::make_unique<State>()) {
  state_->name = name;
  (void)check_sentencepiece_model(bytes, name);
  state_->require(state_->processor.LoadFromSerializedProto(bytes));
}

SentencePieces::~SentencePieces() = default;
SentencePieces::SentencePieces(SentencePieces&&) noexcept = default;
SentencePieces& SentencePieces::operator=(SentencePieces&&) noexcept = default;

std::vector<std::string> SentencePieces::encode(std::string_view text) const {
  std::vector<std::string> pieces;
  state_->require(state_->processor.Encode(text, &pieces));
  return pieces;
}

std::string SentencePieces::decode(std::span<const std::string> pieces) const {
  std::string text;
  state_->require(
      state_->processor.Decode(std::vector<std::string>(pieces.begin(), pieces.end()), &text));
  return text;
}

}  // namespace nativo::text
