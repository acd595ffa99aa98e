// layers: data
// Hostile record lines: refused with a reason, or read and written again to the same value.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "data/record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nativo::data;
  const nativo::Result<Record> read =
      from_line(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!read) {
    if (read.rejection().rule != "bad_record" || read.rejection().value.empty()) std::abort();
    return 0;
  }
  const std::string line = to_line(read.value());
  const nativo::Result<Record> again = from_line(line);
  if (!again || to_line(again.value()) != line) std::abort();
  return 0;
}
