#include "text/sentencepiece_tokenizer.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <optional>

#include "base/error.h"
#include "base/strings.h"
#include "text/sentencepiece_model.h"

namespace nativo::text {
namespace {

[[noreturn]] void library_refuses(std::string_view name,
                                  const sentencepiece::util::Status& status) {
  throw Error(ExitCode::kData, fmt::format("{}: not a usable sentencepiece model: {}",
                                           printable(name), printable(status.ToString())));
}

class SentencePieceTokenizer final : public TokenizerModel {
 public:
  SentencePieceTokenizer(std::string_view bytes, std::string_view name) : name_(name) {
    types_ = check_sentencepiece_model(bytes, name);
    const auto status = processor_.LoadFromSerializedProto(bytes);
    if (!status.ok()) library_refuses(name, status);
    if (static_cast<std::size_t>(processor_.GetPieceSize()) != types_.size()) {
      throw Error(ExitCode::kData, printable(name) + ": two readers count different pieces");
    }
    std::vector<std::pair<std::string, AddedToken>> controls;
    for (TokenId id = 0; id < static_cast<TokenId>(types_.size()); ++id) {
      if (!is_control(id)) continue;
      const std::string& spelled = processor_.IdToPiece(id);
      controls.emplace_back(spelled, AddedToken{.id = id, .content = spelled, .special = true});
    }
    if (!controls.empty()) controls_.emplace(std::move(controls));
    bos_id_ = processor_.bos_id();
  }

  void encode(std::string_view text, const EncodeOptions& options, Encoding& out,
              bool offsets) const override {
    if (options.add_special && bos_id_ >= 0) {
      out.ids.push_back(bos_id_);
      if (offsets) out.offsets.emplace_back(0, 0);
    }
    if (!options.special.parse || !controls_) {
      add_text(text, 0, out, offsets);
      return;
    }
    const AlignedText whole(std::string(text), false);
    for (const AddedTokenFinder::Part& part : controls_->split(whole, 0, options.special)) {
      if (part.id >= 0) {
        out.ids.push_back(part.id);
        if (offsets) out.offsets.emplace_back(part.begin, part.end);
      } else {
        add_text(text.substr(part.begin, part.end - part.begin), part.begin, out, offsets);
      }
    }
  }

  [[nodiscard]] std::string decode(std::span<const TokenId> ids,
                                   SpecialText special) const override {
    std::string text;
    std::vector<int> run;
    const auto settle = [&] {
      if (run.empty()) return;
      std::string decoded;
      const auto status = processor_.Decode(run, &decoded);
      if (!status.ok()) library_refuses(name_, status);
      text += decoded;
      run.clear();
    };
    for (const TokenId id : ids) {
      if (!is_control(id)) {
        run.push_back(id);
      } else if (special == SpecialText::kKeep) {
        settle();
        text += processor_.IdToPiece(id);
      }
    }
    settle();
    return text;
  }

  [[nodiscard]] TokenId piece_id(std::string_view piece) const override {
    const TokenId id = processor_.PieceToId(piece);
    const bool known = id >= 0 && id < static_cast<TokenId>(types_.size());
    return known && processor_.IdToPiece(id) == piece ? id : -1;
  }
  [[nodiscard]] std::string piece(TokenId id) const override { return processor_.IdToPiece(id); }
  [[nodiscard]] bool is_control(TokenId id) const override {
    return types_[static_cast<std::size_t>(id)] == PieceType::kControl;
  }
  [[nodiscard]] std::int64_t vocab_size() const override {
    return static_cast<std::int64_t>(types_.size());
  }
  [[nodiscard]] TokenId bos_id() const override { return bos_id_; }
  [[nodiscard]] TokenId eos_id() const override { return processor_.eos_id(); }

 private:
  void add_text(std::string_view text, std::size_t base, Encoding& out, bool offsets) const {
    if (!offsets) {
      std::vector<int> ids;
      const auto status = processor_.Encode(text, &ids);
      if (!status.ok()) library_refuses(name_, status);
      out.ids.insert(out.ids.end(), ids.begin(), ids.end());
      return;
    }
    sentencepiece::ImmutableSentencePieceText pieces;
    const auto status = processor_.Encode(text, pieces.mutable_proto());
    if (!status.ok()) library_refuses(name_, status);
    for (std::size_t i = 0; i < pieces.pieces_size(); ++i) {
      const auto piece = pieces.pieces(static_cast<int>(i));
      out.ids.push_back(static_cast<TokenId>(piece.id()));
      out.offsets.emplace_back(base + piece.begin(), base + piece.end());
    }
  }

  std::string name_;
  TokenId bos_id_ = -1;
  sentencepiece::SentencePieceProcessor processor_;
  std::vector<PieceType> types_;
  std::optional<AddedTokenFinder> controls_;
};

}  // namespace

std::unique_ptr<TokenizerModel> make_sentencepiece_tokenizer(std::string_view bytes,
                                                             std::string_view name) {
  return std::make_unique<SentencePieceTokenizer>(bytes, name);
}

}  // namespace nativo::text
