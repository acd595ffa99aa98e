// layers: model
// Any bytes as a safetensors file: refused with an Error, or every tensor lies inside the file.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "model/safetensors_header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace model = nativo::model;
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  try {
    const std::uint64_t length =
        model::safetensors_header_length(file.substr(0, 8), file.size(), "fuzz");
    const auto header =
        model::parse_safetensors_header(file.substr(8, length), file.size(), "fuzz");
    std::uint64_t end = 8 + length;
    for (const model::TensorEntry& entry : header.tensors) {
      if (entry.offset != end || entry.elements < 0) std::abort();
      if (static_cast<std::uint64_t>(entry.elements) * bytes_of(entry.type) != entry.bytes) {
        std::abort();
      }
      end += entry.bytes;
    }
    if (end != size) std::abort();
  } catch (const nativo::Error&) {
    return 0;
  }
  return 0;
}
