// layers: text
// Any bytes as a tokenizer.json: refused with an Error, or usable: ids lie inside the vocabulary,
// no control token is made of letters, offsets lie inside the text, and what is encoded can be
// decoded.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using nativo::text::Encoding;
  const std::string bytes = "{" + std::string(reinterpret_cast<const char*>(data), size);
  try {
    const auto tokenizer = nativo::text::Tokenizer::from_bytes(bytes, "fuzz");
    const std::string texts[] = {"C'era una volta: 12 ciliegie! e\u0301 \xF0\x9F\x8D\x92",
                                 "<s>[INST] \xFF", bytes.substr(0, 200)};
    for (const std::string& text : texts) {
      for (const bool parse : {false, true}) {
        const Encoding encoding = tokenizer.encode_with_offsets(
            text, {.special = {.parse = parse}, .add_special = parse});
        if (encoding.ids.size() != encoding.offsets.size()) std::abort();
        for (std::size_t i = 0; i < encoding.ids.size(); ++i) {
          const auto [begin, end] = encoding.offsets[i];
          if (begin > end || end > text.size()) std::abort();
          if (encoding.ids[i] < 0 || encoding.ids[i] >= tokenizer.vocab_size()) std::abort();
        }
        static_cast<void>(tokenizer.decode(encoding.ids));
      }
    }
  } catch (const nativo::Error&) {
    return 0;
  }
  return 0;
}
