#include "launch/growth.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/clock.h"
#include "launch/process.h"

namespace nativo::launch {
namespace {

constexpr double kAnswerSeconds = 3.0;  ///< the ranks are not watched meanwhile

}  // namespace

std::int64_t Growth::missing(std::size_t have) const {
  const SlurmOptions& options = run_.options;
  if (options.on_node_loss != "shrink" || options.grow == "never") return 0;
  return options.nodes - static_cast<std::int64_t>(have);
}

bool Growth::has_saved() const {
  return journal_.newest_checkpoint().value_or(-1) > checkpoint_.value_or(-1);
}

void Growth::begin(const std::vector<std::string>& names) {
  has_begun_ = true;
  names_ = names;
  checkpoint_ = journal_.newest_checkpoint();
  next_look_ = monotonic_seconds();
}

std::optional<MoreNodes> Growth::look(const std::set<std::string>& excluded,
                                      const std::function<bool()>& asked_to_stop) {
  if (missing(names_.size()) <= 0 || run_.options.grow != "checkpoint") return std::nullopt;
  const double now = monotonic_seconds();
  if (now < next_look_ || !has_saved() || asked_to_stop()) return std::nullopt;
  const std::vector<std::string> idle = answering(excluded);
  next_look_ = monotonic_seconds() + run_.options.grow_seconds;
  if (!idle.empty()) {
    return MoreNodes{.words = fmt::format("{} can be used again", fmt::join(idle, ", "))};
  }
  if (asked_to_stop()) return std::nullopt;  // there is no time left for the queue
  return in_queue(names_.size(), excluded);
}

/// Nodes without ranks, all asked at once: however many are dead, it takes no longer.
std::vector<std::string> Growth::answering(const std::set<std::string>& excluded) {
  std::vector<std::string> idle = nodes_.names();
  std::erase_if(idle, [&](const std::string& name) {
    return excluded.contains(name) || std::ranges::find(names_, name) != names_.end();
  });
  std::vector<Words> commands;
  for (const std::string& name : idle) commands.push_back(nodes_.run_on({name}, {"true"}));
  const std::vector<Output> answers = run_commands(commands, kAnswerSeconds);
  std::vector<std::string> found;
  for (std::size_t i = 0; i < idle.size(); ++i) {
    if (answers[i].ok()) found.push_back(idle[i]);
  }
  return found;
}

std::optional<MoreNodes> Growth::at_recovery(std::size_t found,
                                             const std::set<std::string>& excluded) {
  if (missing(found) <= 0 || !has_begun_ || !has_saved()) return std::nullopt;
  return in_queue(found, excluded);
}

std::optional<MoreNodes> Growth::in_queue(std::size_t have, const std::set<std::string>& excluded) {
  const std::vector<std::string> others(excluded.begin(), excluded.end());
  for (const std::int64_t count : {missing(have), std::int64_t{1}}) {
    if (!nodes_.are_free(count, others)) continue;
    checkpoint_ = journal_.newest_checkpoint();
    return MoreNodes{
        .queue_for = have + static_cast<std::size_t>(count),
        .words = fmt::format("{} more node{} can be had", count, count == 1 ? "" : "s")};
  }
  return std::nullopt;
}

}  // namespace nativo::launch
