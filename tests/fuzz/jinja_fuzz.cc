// layers: text
// Any bytes as a chat template, rendered for a short conversation: refused with an Error, or valid
// UTF-8 whose spans lie in order inside it.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "base/strings.h"
#include "text/jinja_interpreter.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace jinja = nativo::text::jinja;
  const std::string source(reinterpret_cast<const char*>(data), size);
  const nativo::Json messages = nativo::Json::array(
      {{{"role", "system"}, {"content", "Sì"}}, {{"role", "user"}, {"content", " ciao </s> "}}});
  jinja::Limits limits;
  limits.steps = 200'000;
  limits.memory = 16U << 20U;
  limits.output = 1U << 20U;
  try {
    const jinja::Template parsed(source, "fuzz");
    const jinja::Rendered out = parsed.render(
        [&](jinja::Heap& heap) {
          return jinja::Variables{{"messages", heap.from_json(messages, 1)},
                                  {"add_generation_prompt", jinja::boolean(true)},
                                  {"bos_token", heap.string("<s>")},
                                  {"eos_token", heap.string("</s>")}};
        },
        {}, limits);
    if (!nativo::is_valid_utf8(out.text.bytes)) std::abort();
    std::size_t at = 0;
    for (const jinja::Span& span : out.text.spans) {
      if (span.begin < at || span.end <= span.begin || span.end > out.text.bytes.size())
        std::abort();
      at = span.end;
    }
  } catch (const nativo::Error&) {
    return 0;
  }
  return 0;
}
