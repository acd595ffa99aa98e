// layers: io
// Any bytes as a file of a keyed log: what is found again is what the reader was shown, and what is
// put behind it is there at the next opening.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "io/keyed_log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using nativo::io::KeyedLog;
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("keyed-log-fuzz-" + std::to_string(::getpid()));
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "log-00000.log", std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  std::map<std::string, std::string> first;
  {
    KeyedLog log(folder,
                 [&](std::string_view key, std::string_view value) { first.emplace(key, value); });
    if (log.keys() != first.size()) std::abort();
    for (const auto& [key, value] : first) {
      if (log.find(key) != value) std::abort();
    }
    log.put("zz-new", "value");
  }
  first.emplace("zz-new", "value");
  const KeyedLog log(folder);
  for (const auto& [key, value] : first) {
    if (log.find(key) != value) std::abort();
  }
  return 0;
}
