// layers: model
// Any bytes as a model.bin: refused with an Error, or every variable lies inside the file.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/ctranslate2_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace model = nativo::model;
  try {
    const model::CTranslate2File file(std::string(reinterpret_cast<const char*>(data), size),
                                      "fuzz");
    std::size_t bytes = 0;
    for (const model::CTranslate2Variable& variable : file.variables()) {
      if (variable.bytes.size() !=
          static_cast<std::size_t>(variable.elements) * bytes_of(variable.type)) {
        std::abort();
      }
      if (file.find(variable.name) != &variable) std::abort();
      bytes += variable.bytes.size();
    }
    if (bytes > size) std::abort();
    for (const model::CTranslate2Variable& variable : file.variables()) {
      try {
        std::vector<float> values(static_cast<std::size_t>(variable.elements));
        file.read(variable, values);
        (void)file.integer(variable.name);
        (void)file.text(variable.name);
      } catch (const nativo::Error&) {
        continue;
      }
    }
  } catch (const nativo::Error&) {
    return 0;
  }
  return 0;
}
