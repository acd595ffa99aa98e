// layers: launch
// Any bytes: what a supervisor reads of others (signs of life, health, Slurm's answers, the ranks'
// output) gives a value or none, or an Error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "launch/faults.h"
#include "launch/health.h"
#include "launch/heartbeats.h"
#include "launch/slurm.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nativo::launch;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto beat = parse_heartbeat(text);
  if (beat && beat->rank < 0) std::abort();
  const auto blame = blame_in_log(text);
  if (blame && blame->rank < 0) std::abort();
  (void)test_only_start(text);
  const auto value = scontrol_value(text, "NodeList");
  if (value && value->empty()) std::abort();
  try {
    const Health health = parse_health(text);
    (void)health.complaint();
    if (to_json(parse_health(to_json(health).dump())) != to_json(health)) std::abort();
  } catch (const nativo::Error&) {
  }
  return 0;
}
