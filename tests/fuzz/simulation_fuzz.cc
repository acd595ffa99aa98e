// layers: train
// The nodes and devices of `nativo plan --simulate`: a cluster or an Error, nothing else.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/error.h"
#include "model/model_size.h"
#include "train/devices.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nativo;
  const std::string text(reinterpret_cast<const char*>(data), size);
  train::SimulationOptions options;
  options.nodes = text.substr(0, text.find('\n'));
  try {
    for (const train::Cluster& cluster : options.clusters()) {
      if (cluster.nodes < 1) __builtin_trap();
    }
  } catch (const Error&) {
  }
  const auto file = std::filesystem::temp_directory_path() / "nativo-simulation-fuzz.toml";
  std::ofstream(file, std::ios::binary) << text;
  try {
    static const model::DecoderConfig config = model::model_size("100m").config;
    for (const auto& [name, device] : train::read_devices(file)) {
      const train::Cluster cluster{
          .device = device, .nodes = 3, .ranks_per_node = 5, .link_gbs = 1};
      static_cast<void>(train::estimate_step(config, {}, {}, {}, cluster));
    }
  } catch (const Error&) {
  }
  return 0;
}
