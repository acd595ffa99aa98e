// Is this node fit to train? Checked before a start and after a fault, on every node, in about a
// second.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "launch/options.h"

namespace nativo::launch {

struct Check {
  std::string name;
  bool good = true;
  bool shared = false;  ///< a fault of what all nodes share, not of this one
  std::string found;    ///< for people: what was found, and what was wanted
  double value = 0.0;   ///< the measurement, where there is one
};

struct Health {
  std::string node;
  std::vector<Check> checks;
  [[nodiscard]] bool node_is_good() const;      ///< nothing is wrong with the node itself
  [[nodiscard]] bool shared_is_good() const;    ///< nothing is wrong with what all share
  [[nodiscard]] std::string complaint() const;  ///< "memory: ...; clock: ..."; "" when all is good
};

struct HealthLimits {
  std::filesystem::path run;  ///< run folder to write to; "" = no checks of it
  double disk = 0.0;          ///< bytes that must be free there
  double memory = 0.0;        ///< bytes that must be available
  double clock_skew = 5.0;    ///< seconds between this clock and the file server's
  std::int64_t gpus = 0;      ///< that nvidia-smi must show
};

/// How long a speed is measured at least. What counts is the best round of those: others who work
/// on the node for a moment do not make it a slow one.
inline constexpr double kMeasureSeconds = 0.2;

/// Seconds that this thread has computed. Speeds are measured by it: what others take of the node's
/// time is not in it.
[[nodiscard]] double thread_seconds();

/// A computation with a known answer: "" when it came out, otherwise what was wrong with it. Fills
/// in how fast it was, operations a second.
using Arithmetic = std::function<std::string(double& rate)>;

/// Checks memory, the run folder's space and writability, the clock against the file server's,
/// arithmetic, memory bandwidth and GPUs.
[[nodiscard]] Health check_node(const HealthLimits& limits, const Arithmetic& arithmetic);

[[nodiscard]] Json to_json(const Health& health);
/// Throws Error(kData) when `text` is no such JSON.
[[nodiscard]] Health parse_health(const std::string& text);

/// Adds a failed check to those whose memory or arithmetic is less than half as fast as the median
/// of all nodes. Needs three nodes to tell.
void compare_nodes(std::vector<Health>& nodes);

}  // namespace nativo::launch
