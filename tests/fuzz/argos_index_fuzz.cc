// layers: translate
// Any bytes as an index of packages: refused with an Error, or every entry can be named and
// fetched.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "translate/argos_fetch.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace translate = nativo::translate;
  try {
    const auto index = translate::parse_argos_index(
        std::string_view(reinterpret_cast<const char*>(data), size), "fuzz");
    for (const translate::IndexEntry& entry : index) {
      const translate::ArgosMetadata& metadata = entry.metadata;
      for (const std::string& name : {metadata.from, metadata.to, metadata.version}) {
        if (name.empty() || name.find('/') != name.npos || name.front() == '.') std::abort();
      }
      if (entry.links.empty()) std::abort();
      (void)translate::choose_package(index, metadata.from, metadata.to);
    }
  } catch (const nativo::Error&) {
    // refused
  }
  return 0;
}
