// layers: text
// Any bytes as a text for a small byte-level tokenizer: decoding gives the text back, the ranges of
// the tokens cover it from end to end, and ranges said to be literal hold no control token.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/strings.h"
#include "text/tokenizer.h"

namespace {

using nativo::text::ByteRange;
using nativo::text::Tokenizer;

/// The 256 bytes, a few merges, a control token.
const Tokenizer& tokenizer() {
  static const Tokenizer small = [] {
    std::string vocab;
    int extra = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const bool itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
      char letter[16];
      std::snprintf(letter, sizeof letter, "\"\\u%04x\":%d,", itself ? byte : extra++, byte);
      vocab += letter;
    }
    vocab += R"("th":256,"the":257,"\u0120a":258)";
    return Tokenizer::from_bytes(
        R"({"added_tokens":[{"id":259,"content":"<s>","special":true}],)"
        R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},)"
        R"("decoder":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{)" +
            vocab + R"(},"merges":["t h","th e","\u0120 a"]}})",
        "small");
  }();
  return small;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto encoding = tokenizer().encode_with_offsets(text);
  std::size_t end = 0;
  for (const ByteRange& range : encoding.offsets) {
    if (range.first > end || range.second < end) std::abort();
    end = range.second;
  }
  if (end != text.size()) std::abort();
  if (!nativo::is_valid_utf8(text)) return 0;
  if (tokenizer().decode(encoding.ids) != text) std::abort();
  const ByteRange literal[] = {{size / 3, 2 * (size / 3)}};
  const auto parsed =
      tokenizer().encode_with_offsets(text, {.special = {.parse = true, .literal = literal}});
  for (std::size_t i = 0; i < parsed.ids.size(); ++i) {
    const auto [begin, stop] = parsed.offsets[i];
    const bool touches = begin < literal[0].second && stop > literal[0].first;
    if (parsed.ids[i] == 259 && touches) std::abort();
  }
  if (tokenizer().decode(parsed.ids, nativo::text::SpecialText::kKeep) != text) std::abort();
  return 0;
}
