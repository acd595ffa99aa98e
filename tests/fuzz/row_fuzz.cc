// layers: data
// Hostile rows: the first byte picks the shape, the rest is the row. What comes out must be records
// that survive being written and read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "data/record.h"
#include "data/shapes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nativo::data;
  if (size == 0) return 0;
  const std::size_t pick = data[0] % (shape_names().size() + 1);
  const std::string_view shape = pick == 0 ? "auto" : shape_names()[pick - 1];
  const std::string_view row(reinterpret_cast<const char*>(data) + 1, size - 1);
  RowResult result = row_to_records(row, shape, data[0] >= 128 ? "t" : "");
  if (!result) {
    if (result.rejection().rule.empty()) std::abort();
    return 0;
  }
  if (result.value().empty()) std::abort();
  for (Record& record : result.value()) {
    record.id = content_id(record);
    const nativo::Result<Record> read = from_line(to_line(record));
    if (!read || content_id(read.value()) != record.id) std::abort();
    for (const Passage& passage : split_passages(full_text(record), 16, true)) {
      if (passage.text.empty()) std::abort();
    }
  }
  return 0;
}
