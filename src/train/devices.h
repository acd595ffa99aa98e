// The devices that scaling.h knows by name. Data, not code: devices.toml, and files of one's own.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "train/scaling.h"

namespace nativo::train {

/// Those of devices.toml and, when `file` is not empty, of that file, whose win over them. Throws
/// Error as ConfigFile does.
[[nodiscard]] std::map<std::string, DeviceModel> read_devices(
    const std::filesystem::path& file = {});

/// The device `name` of `devices`; throws Error(kConfig) that lists them.
[[nodiscard]] const DeviceModel& find_device(const std::map<std::string, DeviceModel>& devices,
                                             const std::string& name);

/// What `nativo plan --simulate KEY=VALUE,...` may say.
struct SimulationOptions {
  std::string nodes;  ///< "16", or "1-512": doubled from the first to the last
  std::int64_t gpus = 8;
  std::string device = "h100-sxm";
  double link = 50.0;
  double latency = 20.0;
  double disk = 10.0;
  double price = 0.0;
  double tokens = 1e9;
  std::int64_t rows = 0;
  std::string devices;

  void visit(config::Visitor& visitor);

  /// The clusters to estimate, the smallest first. Throws Error(kConfig) for no such device and
  /// for `nodes` that are no number or range.
  [[nodiscard]] std::vector<Cluster> clusters() const;
};

}  // namespace nativo::train
