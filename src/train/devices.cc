#include "train/devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "config/config_file.h"

namespace nativo::train {

namespace embedded {
std::string_view devices();  // devices.toml
}  // namespace embedded

namespace {

constexpr std::int64_t kMostRanks = std::int64_t{1} << 20;
constexpr std::int64_t kWantedRanks = 4096;  ///< of the largest cluster when nodes are not given

struct DeviceFile {
  std::map<std::string, DeviceModel> devices;
  void visit(config::Visitor& v) {
    v.named_tables({.name = "device", .help = "what a rank computes with"}, devices);
  }
};

/// A whole number >= 1; nothing when `text` is none.
std::optional<std::int64_t> whole(std::string_view text) {
  std::int64_t number = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || at != text.data() + text.size()) return std::nullopt;
  if (number < 1 || number > kMostRanks) return std::nullopt;
  return number;
}

std::pair<std::int64_t, std::int64_t> node_range(const SimulationOptions& options) {
  if (options.nodes.empty()) {
    return {1, std::max<std::int64_t>(1, kWantedRanks / options.gpus)};
  }
  const std::string_view text = options.nodes;
  const std::size_t dash = text.find('-');
  const auto first = whole(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : whole(text.substr(dash + 1));
  if (!first || !last || *first > *last || *last > kMostRanks / options.gpus) {
    throw Error(ExitCode::kConfig,
                fmt::format("--simulate nodes={}: neither a number of nodes nor a range of them, "
                            "or more than {} ranks",
                            printable(text), kMostRanks),
                "nodes=16, or nodes=1-512 for 1, 2, 4, ... 512");
  }
  return {*first, *last};
}

}  // namespace

void DeviceModel::visit(config::Visitor& v) {
  v.value({.name = "about", .help = "for people"}, about);
  v.value({.name = "source", .help = "where the figures come from"}, source);
  v.value({.name = "memory_gib", .help = "memory of a rank; 0 = not limited", .min = 0, .max = 1e6},
          memory_gib);
  v.value({.name = "tflops",
           .help = "10^12 operations a second in training, nothing recomputed",
           .min = 1e-6,
           .max = 1e6},
          tflops);
  v.value({.name = "update_gbs", .help = "GB/s of AdamW over its memory", .min = 1e-3, .max = 1e6},
          update_gbs);
  v.value(
      {.name = "peak_tflops",
       .help = "the data sheet's, of dense matrices, which `util.` is a share of; 0 = of tflops",
       .min = 0,
       .max = 1e6},
      peak_tflops);
  v.value({.name = "tflops_alone",
           .help = "with cores: tflops of one while the others of its node are idle; 0 = the same",
           .min = 0,
           .max = 1e6},
          tflops_alone);
  v.value({.name = "update_gbs_alone",
           .help = "with cores: update_gbs of one while the others are idle; 0 = the same",
           .min = 0,
           .max = 1e6},
          update_gbs_alone);
  v.value({.name = "node_gbs",
           .help = "GB/s of a rank to the others of its node, each direction; with cores, of all "
                   "ranks of the node together",
           .min = 1e-3,
           .max = 1e6},
          node_gbs);
  v.value({.name = "node_latency_us",
           .help = "of a collective in a node, microseconds",
           .min = 0,
           .max = 1e6},
          node_latency_us);
  v.value({.name = "number_bytes", .help = "of a weight and of a gradient", .min = 1, .max = 8},
          number_bytes);
  v.value({.name = "cores",
           .help = "0 = a device a rank; else the cores of a node, which its ranks share",
           .min = 0,
           .max = 4096},
          cores);
}

void SimulationOptions::visit(config::Visitor& v) {
  v.value({.name = "nodes", .help = "nodes, or a range to double through: 1-512"}, nodes);
  v.value({.name = "gpus", .help = "ranks a node", .min = 1, .max = 4096}, gpus);
  v.value({.name = "device", .help = "of devices.toml or of devices=FILE"}, device);
  v.value({.name = "link",
           .help = "GB/s of a node to all others, each direction (400 Gbit/s = 50)",
           .min = 1e-3,
           .max = 1e6},
          link);
  v.value({.name = "latency", .help = "of a message between nodes, us", .min = 0, .max = 1e6},
          latency);
  v.value({.name = "disk", .help = "GB/s of the file system", .min = 1e-3, .max = 1e6}, disk);
  v.value({.name = "price", .help = "of a GPU for an hour, in your currency", .min = 0, .max = 1e6},
          price);
  v.value({.name = "tokens", .help = "that the whole training sees", .min = 1, .max = 1e16},
          tokens);
  v.value({.name = "rows",
           .help = "rows of train.seq_len a rank and step, instead of train.batch_tokens over all",
           .min = 0,
           .max = 1e6},
          rows);
  v.path({.name = "devices", .help = "a file of further devices"}, devices);
}

std::vector<Cluster> SimulationOptions::clusters() const {
  const std::map<std::string, DeviceModel> known = read_devices(devices);
  const DeviceModel& found = find_device(known, device);
  const auto [first, last] = node_range(*this);
  std::vector<Cluster> all;
  for (std::int64_t count = first;; count = std::min(last, 2 * count)) {
    all.push_back({.device = found,
                   .nodes = count,
                   .ranks_per_node = gpus,
                   .link_gbs = link,
                   .link_latency_us = latency,
                   .disk_gbs = disk});
    if (count == last) return all;
  }
}

std::map<std::string, DeviceModel> read_devices(const std::filesystem::path& file) {
  DeviceFile all;
  config::ConfigFile::from_text(embedded::devices(), "devices.toml").read(all);
  if (!file.empty()) {
    DeviceFile own;
    config::ConfigFile(file, {}).read(own);
    for (auto& [name, device] : own.devices) all.devices.insert_or_assign(name, std::move(device));
  }
  for (const auto& [name, device] : all.devices) {
    if (device.tflops > 0.0 && device.update_gbs > 0.0 && device.node_gbs > 0.0) continue;
    throw Error(ExitCode::kConfig,
                fmt::format("{}: [device.{}] wants tflops, update_gbs and node_gbs",
                            printable(file.native()), printable(name)));
  }
  return std::move(all.devices);
}

const DeviceModel& find_device(const std::map<std::string, DeviceModel>& devices,
                               const std::string& name) {
  const auto found = devices.find(name);
  if (found != devices.end()) return found->second;
  std::string known;
  for (const auto& [each, device] : devices) known += (known.empty() ? "" : ", ") + each;
  throw Error(ExitCode::kConfig, fmt::format("--simulate device={}: not known", printable(name)),
              printable("known: " + known + "; devices=FILE adds others"));
}

}  // namespace nativo::train
