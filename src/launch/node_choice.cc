#include "launch/node_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "launch/process.h"

namespace nativo::launch {
namespace {

constexpr double kHealthSeconds = 15.0;  ///< a check takes one; a node that needs this many is ill
constexpr double kGib = 1024.0 * 1024.0 * 1024.0;

}  // namespace

std::int64_t least_nodes(const SlurmOptions& options) {
  return options.on_node_loss == "shrink" ? options.min_nodes : options.nodes;
}

std::int64_t nodes_to_queue_for(const SlurmOptions& options, std::size_t there) {
  return std::clamp(static_cast<std::int64_t>(there), least_nodes(options),
                    options.nodes + options.spare_nodes);
}

Words NodeChoice::check_command() const {
  const SlurmOptions& options = run_.options;
  const double disk =
      std::max(options.min_disk_gib * kGib, 1.2 * static_cast<double>(journal_.checkpoint_bytes()));
  Words check = run_.self;
  check.insert(
      check.end(),
      {"doctor", "--node", "--run", run_.run.native(), "--min-disk", fmt::format("{:.0f}", disk),
       "--min-memory", fmt::format("{:.0f}", options.min_memory_gib * kGib), "--max-clock-skew",
       fmt::format("{}", options.max_clock_skew), "--gpus", std::to_string(options.gpus_per_node)});
  return check;
}

std::vector<Health> NodeChoice::ask(const std::vector<std::string>& names) {
  const Words check = check_command();
  std::vector<Words> commands;
  for (const std::string& name : names) commands.push_back(nodes_.run_on({name}, check));
  const std::vector<Output> outputs = run_commands(commands, kHealthSeconds);
  std::vector<Health> answers;
  for (std::size_t i = 0; i < names.size(); ++i) {
    try {
      answers.push_back(parse_health(outputs[i].out));
      answers.back().node = names[i];
    } catch (const Error&) {
      // It may come back: it is asked again next time.
      const std::string why = outputs[i].timed_out
                                  ? fmt::format("no answer within {} s", kHealthSeconds)
                                  : std::string(trim(outputs[i].err));
      log::warn("node {} cannot be used now: {}", printable(names[i]), printable(why));
      journal_.event("node_lost", journal_.last_step(), {{"node", names[i]}, {"what", why}});
    }
  }
  return answers;
}

// Whoever else works on a node makes it slow for a moment.
void NodeChoice::give_slow_ones_a_second_chance(std::vector<Health>& answers) {
  std::vector<Health> compared = answers;
  compare_nodes(compared);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i].node_is_good() || compared[i].node_is_good()) continue;
    std::vector<Health> again = ask({answers[i].node});
    if (!again.empty()) answers[i] = std::move(again.front());
  }
  compare_nodes(answers);
}

NodeChoice::Found NodeChoice::look() {
  std::vector<std::string> names = nodes_.names();
  std::erase_if(names, [&](const std::string& name) { return excluded_.contains(name); });
  if (!run_.options.health_checks) return {.names = std::move(names)};
  std::vector<Health> answers = ask(names);
  give_slow_ones_a_second_chance(answers);
  Found found;
  for (const Health& health : answers) {
    if (!health.shared_is_good()) found.shared_complaint = health.complaint();
    if (health.node_is_good()) {
      found.names.push_back(health.node);
      continue;
    }
    log::warn("node {} is left out: {}", printable(health.node), health.complaint());
    journal_.event("node_excluded", journal_.last_step(),
                   {{"node", health.node}, {"what", health.complaint()}});
    excluded_.insert(health.node);
  }
  return found;
}

}  // namespace nativo::launch
