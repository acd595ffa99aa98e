// layers: report
// Any bytes as one of a run folder's files: an Error, or sections without a script or an image. The
// page around them is not made: it is 250 KB that do not change.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/error.h"
#include "report/html.h"
#include "report/run_files.h"
#include "report/sections.h"

namespace fs = std::filesystem;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr const char* kFiles[] = {"nativo.lock.toml",         "stages/ingest/manifest.json",
                                    "stages/mix/manifest.json", "train/metrics.jsonl",
                                    "train/events.jsonl",
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
    namespace report = nativo::report;
    const report::RunFiles run = report::read_run(folder);
    const std::string page = report::headline_section(run) + report::evaluation_section(run) +
                             report::dialogues_section(run) + report::training_section(run) +
                             report::stages_section(run) + report::lengths_section(run) +
                             report::sources_section(run) + report::lock_section(run);
    for (const char* tag : {"<script", "<img", "<iframe", "<link"}) {
      if (page.find(tag) != page.npos) std::abort();
    }
    if (report::script_json(report::chart_data(run)).find('<') != std::string::npos) std::abort();
  } catch (const nativo::Error&) {
  }
  fs::remove_all(folder);
  return 0;
}
