// layers: translate
// Any bytes as an answer in the translation memory: passed over, or an answer that is written back
// as the same answer.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "base/strings.h"
#include "translate/translation_memory.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace translate = nativo::translate;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::optional<translate::Translation> any = translate::parse_memory_value(bytes);
  if (any && !any->ok) std::abort();
  if (!nativo::is_valid_utf8(bytes)) return 0;
  const std::string value =
      translate::memory_value(bytes, {std::string(bytes), size, size / 2, true});
  if (value.find('\n') != std::string::npos) std::abort();
  const std::optional<translate::Translation> again = translate::parse_memory_value(value);
  if (!again || again->text != bytes || again->words != size) std::abort();
  return 0;
}
