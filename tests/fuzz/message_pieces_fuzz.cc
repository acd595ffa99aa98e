// layers: translate
// Any text on its way to an engine and any answer on its way back: the pieces are the message, and
// no answer breaks anything.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/strings.h"
#include "translate/masking.h"
#include "translate/pieces.h"
#include "translate/prepare.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nativo::translate;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string_view text = bytes.substr(0, bytes.size() * data[0] / 255);
  const std::string_view answer = bytes.substr(text.size());
  const Prepared plain = prepare(text, {});
  if (!verify_prepared(plain, plain.text).ok()) std::abort();
  (void)with_wraps(plain, std::string(answer));
  const Prepared localized = prepare(text, {{true, true}, nullptr});
  for (const Prepared* message : {&plain, &localized}) {
    for (const Grain grain :
         {Grain::kMessage, Grain::kParagraphs, Grain::kSentences, Grain::kBetweenSpans}) {
      std::string joined;
      for (const Piece& piece : cut(*message, grain)) {
        joined += piece.sentence ? piece.sentence->text : std::string(piece.verbatim);
        if (!piece.sentence) continue;
        if (!nativo::is_valid_utf8(piece.sentence->text)) std::abort();
        (void)memory_key(*piece.sentence);
        Masked masked = mask(*piece.sentence);
        Masked damaged = masked;
        remask(damaged, answer);
        (void)unmask(damaged, answer, [](std::string_view) { return std::string_view(); });
      }
      if (joined != message->text) std::abort();
    }
  }
  return 0;
}
