// layers: translate
// Any bytes as a prompt file, and as what a model answers: refused with an Error or a rule, or a
// question whose messages are valid UTF-8, and a translation that keeps every protected span.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/strings.h"
#include "text/protected_spans.h"
#include "translate/llm_answer.h"
#include "translate/prompt_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nativo;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t half = bytes.find('\xFE');
  const std::string source(bytes.substr(0, half));
  if (half != std::string_view::npos && is_valid_utf8(source)) {
    const std::string tag = translate::answer_tag(source);
    const auto found = translate::translation_in(source, bytes.substr(half + 1), tag);
    if (found && !text::verify_protected(source, found.value()).ok()) std::abort();
  }
  try {
    const translate::Prompt prompt(bytes, "fuzz", "en", "it");
    for (const auto& message : prompt.question({"Take 12.", nullptr, "translation"})) {
      if (!is_valid_utf8(message.content)) std::abort();
    }
    (void)prompt.repair({"Take 12.", nullptr, "translation"}, "it is empty");
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
