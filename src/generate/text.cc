#include "generate/text.h"

#include <algorithm>

#include "generate/stream_decoder.h"

namespace nativo::generate {
namespace {

/// Lets text through up to the first stop string.
class StopFilter {
 public:
  explicit StopFilter(const std::vector<std::string>& stops) : stops_(stops) {}

  /// Text that is certainly not part of a stop string; sets stopped() when one is complete.
  std::string push(std::string_view delta) {
    pending_.append(delta);
    std::size_t cut = std::string::npos;
    for (const std::string& stop : stops_) {
      if (!stop.empty()) cut = std::min(cut, pending_.find(stop));
    }
    if (cut != std::string::npos) {
      stopped_ = true;
      return take(cut);
    }
    return take(pending_.size() - longest_beginning());
  }

  std::string finish() { return take(pending_.size()); }
  [[nodiscard]] bool stopped() const { return stopped_; }

 private:
  std::string take(std::size_t count) {
    std::string out = pending_.substr(0, count);
    pending_.erase(0, count);
    return out;
  }

  /// Length of the longest end of pending_ that begins a stop string.
  [[nodiscard]] std::size_t longest_beginning() const {
    std::size_t longest = 0;
    for (const std::string& stop : stops_) {
      if (stop.empty()) continue;
      const std::size_t most = std::min(stop.size() - 1, pending_.size());
      for (std::size_t length = most; length > longest; --length) {
        if (std::string_view(pending_).ends_with(std::string_view(stop).substr(0, length))) {
          longest = length;
        }
      }
    }
    return longest;
  }

  const std::vector<std::string>& stops_;
  std::string pending_;
  bool stopped_ = false;
};

}  // namespace

TextResult generate_text(LanguageModel& model, std::span<const TokenId> prompt,
                         const TextOptions& options, const OnText& on_text) {
  TextResult result;
  StreamDecoder decoder(model.tokenizer());
  StopFilter filter(options.stop_strings);
  bool stop_token = false;
  bool wanted = true;
  const auto give = [&](const std::string& text) {
    if (text.empty()) return;
    result.text += text;
    if (on_text && wanted) wanted = on_text(text);
  };

  const Generation generation = model.generate(prompt, options.sampler, [&](TokenId token) {
    stop_token = std::ranges::find(options.stop_tokens, token) != options.stop_tokens.end();
    if (stop_token) return false;
    const std::string delta = decoder.push(token);
    if (!delta.empty()) give(filter.push(delta));
    return wanted && !filter.stopped();
  });
  result.tokens = static_cast<std::int64_t>(generation.tokens.size());
  if (!filter.stopped()) give(filter.push(decoder.finish()));
  if (!filter.stopped()) give(filter.finish());
  result.reason = stop_token || filter.stopped() ? StopReason::kStopString : generation.reason;
  return result;
}

}  // namespace nativo::generate
