// layers: model
// Any bytes: lora_config_from_json gives a configuration that survives being written and read, or
// an Error; module_from_name gives a module of exactly that name or nothing.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "model/lora_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nativo::model;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto module = module_from_name(text);
  if (module && module->name() != text) std::abort();
  try {
    const LoraConfig lora = lora_config_from_json(nativo::parse_json(text, "fuzz"), "fuzz");
    if (lora.rank < 1 || !(lora.dropout >= 0.0 && lora.dropout < 1.0)) std::abort();
    const LoraConfig again = lora_config_from_json(lora_config_to_json(lora, {}), "again");
    if (!(again == lora)) std::abort();
  } catch (const nativo::Error&) {
  }
  return 0;
}
