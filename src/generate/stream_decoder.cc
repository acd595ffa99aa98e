#include "generate/stream_decoder.h"

#include <string_view>

namespace nativo::generate {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
/// Decoding anew from the start would be quadratic: beyond kWindow ids only the last kKept stay,
/// which is more than the four byte tokens one character can take.
constexpr std::size_t kWindow = 64;
constexpr std::size_t kKept = 16;

/// "<0xE2>": the decoder of a tokenizer.json judges a run of them as a whole,
/// and control tokens do not end one.
bool is_byte_piece(std::string_view piece) {
  return piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with('>');
}

}  // namespace

std::string StreamDecoder::push(text::TokenId id) {
  window_.push_back(id);
  const bool undecided = is_byte_piece(tokenizer_.piece(id)) || tokenizer_.is_control(id);
  if (tokenizer_.is_hugging_face() && undecided) return {};
  const std::string text = tokenizer_.decode(window_);
  std::string_view complete = text;
  while (complete.ends_with(kReplacement)) complete.remove_suffix(kReplacement.size());
  if (complete.size() <= given_) return {};
  const std::string delta(complete.substr(given_));
  given_ = complete.size();
  if (complete.size() == text.size()) forget_old_tokens();
  return delta;
}

std::string StreamDecoder::finish() {
  const std::string text = tokenizer_.decode(window_);
  std::string rest = text.size() > given_ ? text.substr(given_) : std::string();
  window_.clear();
  given_ = 0;
  return rest;
}

void StreamDecoder::forget_old_tokens() {
  if (window_.size() <= kWindow) return;
  const std::vector<text::TokenId> latest(window_.end() - kKept, window_.end());
  const std::string text = tokenizer_.decode(latest);
  // A window that decodes to nothing would lose its next leading space; keep the old one then.
  if (text.empty() || text.ends_with(kReplacement)) return;
  window_ = latest;
  given_ = text.size();
}

}  // namespace nativo::generate
