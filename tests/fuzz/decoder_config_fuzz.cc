// layers: model
// Any bytes: config_from_json gives a config whose sizes multiply, or an Error; never anything else.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "model/decoder_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto config =
        nativo::model::config_from_json(nativo::parse_json(text, "fuzz"), "config.json");
    if (config.parameter_count() <= 0) std::abort();
    const auto again =
        nativo::model::config_from_json(nativo::model::config_to_json(config, "float32"), "again");
    if (!(again == config)) std::abort();
  } catch (const nativo::Error&) {
  }
  return 0;
}
