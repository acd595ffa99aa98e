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

std::optional<MoreNodes> Growth::look(const std::set<std::string>& excluded) {
  if (missing(names_.size()) <= 0 || run_.options.grow != "checkpoint") return std::nullopt;
  const double now = monotonic_seconds();
  if (now < next_look_ || !has_saved()) return std::nullopt;
  std::vector<std::string> idle = nodes_.names();
  std::erase_if(idle, [&](const std::string& name) {
    return excluded.contains(name) || std::ranges::find(names_, name) != names_.end();
  });
  std::erase_if(idle, [&](const std::string& name) {
    return !run_command(nodes_.run_on({name}, {"true"}), kAnswerSeconds).ok();
  });
  next_look_ = monotonic_seconds() + run_.options.grow_seconds;
  if (!idle.empty()) {
    return MoreNodes{.words = fmt::format("{} can be used again", fmt::join(idle, ", "))};
  }
  return in_queue(names_.size(), excluded);
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
