// layers: report
// Any bytes as one of a run folder's files: an Error, or a page whose only scripts are its own.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/error.h"
#include "report/report.h"

namespace fs = std::filesystem;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr const char* kFiles[] = {"nativo.lock.toml",         "stages/ingest/manifest.json",
                                    "stages/mix/manifest.json", "train/metrics.jsonl",
                                    "train/summary.json",       "eval/comparison.json",
                                    "eval/dialogues.json"};
  if (size == 0) return 0;
  const fs::path folder =
      fs::temp_directory_path() / ("nativo_report_fuzz_" + std::to_string(getpid()));
  const fs::path file = folder / kFiles[data[0] % std::size(kFiles)];
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(data + 1), static_cast<std::streamsize>(size - 1));
  try {
    const std::string page = nativo::report::render_report(folder);
    std::size_t scripts = 0;
    for (std::size_t at = page.find("<script"); at != page.npos;
         at = page.find("<script", at + 1)) {
      ++scripts;
    }
    if (scripts != 3) std::abort();
  } catch (const nativo::Error&) {
  }
  fs::remove_all(folder);
  return 0;
}
