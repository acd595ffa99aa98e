// layers: train launch
// What is read of a checkpoint before its bytes are (manifest.json, state.json), who may write one
// (fence.json), what a run took (metrics.jsonl), and the end of its events: a value or an Error,
// nothing else.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "launch/journal.h"
#include "train/checkpoint_files.h"
#include "train/fence.h"
#include "train/metrics.h"
#include "train/train_state.h"

namespace fs = std::filesystem;
using namespace nativo;

namespace {

const fs::path& folder() {
  static const fs::path path = [] {
    const char* memory = "/dev/shm";
    const fs::path in = fs::is_directory(memory) ? fs::path(memory) : fs::temp_directory_path();
    const fs::path made = in / "nativo-checkpoint-fuzz";
    fs::create_directories(made);
    for (const char* name : {train::kCheckpointModel, train::kCheckpointOptimizer}) {
      std::ofstream(made / name, std::ios::binary) << name;
    }
    return made;
  }();
  return path;
}

void put(const char* name, std::string_view text) {
  std::ofstream(folder() / name, std::ios::binary) << text;
}

template <class Body>
void expect_errors_only(const Body& body) {
  try {
    body();
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  expect_errors_only([&] {
    const train::TrainState state = train::train_state_from_json(parse_json(text, "fuzz"), "fuzz");
    const Json json = train::to_json(state);
    if (train::to_json(train::train_state_from_json(json, "again")) != json) std::abort();
  });
  put(train::kCheckpointState, text);
  put(train::kCheckpointManifest, text);
  expect_errors_only([&] { train::verify_checkpoint(folder()); });
  put("metrics.jsonl", text);
  expect_errors_only([&] {
    const auto taken = train::taken_batch(folder() / "metrics.jsonl", 3);
    if (taken && taken->row_offset < 0) std::abort();
  });
  put("fence.json", text);
  expect_errors_only([&] { train::Fence(folder()).check(); });
  if (launch::last_json_lines(folder() / "fence.json", 3).size() > 3) std::abort();
  return 0;
}
