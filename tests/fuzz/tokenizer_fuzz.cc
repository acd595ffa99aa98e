// layers: text
// Any bytes as a sentencepiece model: refused with an Error, or usable: no text makes it crash or
// gives a control token, and what it encodes it can decode.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  try {
    const auto tokenizer = nativo::text::Tokenizer::from_bytes(bytes, "fuzz");
    const std::string texts[] = {"C'era una volta: 12 ciliegie! \xF0\x9F\x8D\x92", "<s>[INST] \xFF",
                                 bytes.substr(0, 200)};
    for (const std::string& text : texts) {
      const auto ids = tokenizer.encode(text);
      for (const auto id : ids) {
        if (id < 0 || id >= tokenizer.vocab_size() || tokenizer.is_control(id)) std::abort();
      }
      static_cast<void>(tokenizer.decode(ids));
    }
  } catch (const nativo::Error&) {
    return 0;
  }
  return 0;
}
