// layers: translate
// Any bytes as a line of the translation memory: passed over, or an answer that is written back as
// the same answer.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/strings.h"
#include "translate/translation_memory.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace translate = nativo::translate;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::string key;
  translate::Translation translation;
  if (translate::parse_memory_line(bytes, key, translation)) {
    if (key.size() != 32 || !translation.ok) std::abort();
  }
  if (!nativo::is_valid_utf8(bytes)) return 0;
  const std::string line = translate::memory_line(std::string(32, 'a'), bytes,
                                                  {std::string(bytes), size, size / 2, true});
  if (line.find('\n') != std::string::npos) std::abort();
  if (!translate::parse_memory_line(line, key, translation)) std::abort();
  if (translation.text != bytes || translation.words != size) std::abort();
  return 0;
}
