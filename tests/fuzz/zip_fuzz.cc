// layers: io
// Any bytes as a zip archive: refused with an Error, or every file has the size that it says and a
// name that stays below a folder.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "base/strings.h"
#include "io/zip.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace io = nativo::io;
  try {
    const io::ZipArchive archive(std::string(reinterpret_cast<const char*>(data), size), "fuzz",
                                 {.entries = 16, .bytes = 1 << 22});
    for (const io::ZipEntry& entry : archive.files()) {
      if (entry.name.empty() || entry.name.front() == '/') std::abort();
      for (const std::string_view part : nativo::split(entry.name, '/')) {
        if (part.empty() || part == "." || part == "..") std::abort();
      }
      if (archive.read(entry, 1 << 22).size() != entry.size) std::abort();
    }
  } catch (const nativo::Error&) {
    // refused
  }
  return 0;
}
