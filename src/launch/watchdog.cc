#include "launch/watchdog.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/strings.h"

namespace nativo::launch {
namespace {

constexpr std::size_t kStepsRemembered = 65;
constexpr double kStallFactor = 3.0;  ///< of the limit of silence, when all ranks are silent

}  // namespace

std::string Finding::words() const {
  const std::string who =
      fmt::format("rank {}{}", rank, node.empty() ? std::string() : " on " + printable(node));
  switch (kind) {
    case Kind::kSilent:
      return fmt::format("{} gave no sign of life for {:.1f} s (limit {:.1f} s)", who, seconds,
                         limit);
    case Kind::kNeverCame:
      return fmt::format("{} did not come up within {:.0f} s", who, seconds);
    case Kind::kHangs:
      break;
  }
  return fmt::format(
      "{} lives but hangs in phase \"{}\" after step {}: no progress for {:.1f} s "
      "(limit {:.1f} s)",
      who, printable(phase), step, seconds, limit);
}

Watchdog::Watchdog(const WatchLimits& limits, std::int64_t ranks, double now)
    : limits_(limits), expected_(ranks), started_(now), last_progress_(now) {}

std::optional<Finding> Watchdog::look(const std::vector<Heartbeat>& beats, double now) {
  for (const Heartbeat& beat : beats) {
    auto [found, is_new] = ranks_.try_emplace(beat.rank, Rank{beat, now, now});
    Rank& rank = found->second;
    const auto progress = [](const Heartbeat& of) {
      return std::tie(of.phase, of.step, of.pieces);
    };
    if (is_new || rank.beat.beat != beat.beat) rank.beat_changed = now;
    if (is_new || progress(rank.beat) != progress(beat)) {
      rank.progress_changed = now;
      last_progress_ = now;
    }
    rank.beat = beat;
    follow_steps(beat, now);
  }
  // All at once is hardly the ranks' fault: the file system stands still, or we did.
  const bool all_are_silent =
      ranks_.size() > 1 && std::ranges::all_of(ranks_, [&](const auto& entry) {
        return now - entry.second.beat_changed > limits_.silence;
      });
  const double silence = limits_.silence * (all_are_silent ? kStallFactor : 1.0);
  std::vector<Finding> findings;
  for (std::int64_t number = 0; number < expected_; ++number) {
    const auto found = ranks_.find(number);
    if (found == ranks_.end()) {
      if (now - started_ > limits_.start) {
        findings.push_back({.kind = Finding::Kind::kNeverCame,
                            .rank = number,
                            .node = {},
                            .phase = {},
                            .seconds = now - started_,
                            .limit = limits_.start});
      }
      continue;
    }
    const Rank& rank = found->second;
    Finding finding{.rank = number,
                    .node = rank.beat.node,
                    .pid = rank.beat.pid,
                    .phase = rank.beat.phase,
                    .step = rank.beat.step};
    if (now - rank.beat_changed > silence) {
      finding.seconds = now - rank.beat_changed;
      finding.limit = silence;
      findings.push_back(finding);
    } else if (const double limit = progress_limit(rank.beat);
               now - rank.progress_changed > limit) {
      finding.kind = Finding::Kind::kHangs;
      finding.seconds = now - rank.progress_changed;
      finding.limit = limit;
      findings.push_back(finding);
    }
  }
  if (findings.empty()) return std::nullopt;
  const auto likelier = [&](const Finding& a, const Finding& b) {
    const auto pieces = [&](const Finding& of) {
      const auto found = ranks_.find(of.rank);
      return found == ranks_.end() ? std::uint64_t{0} : found->second.beat.pieces;
    };
    return std::tuple(a.kind, a.step, pieces(a), -a.seconds) <
           std::tuple(b.kind, b.step, pieces(b), -b.seconds);
  };
  return *std::ranges::min_element(findings, likelier);
}

void Watchdog::follow_steps(const Heartbeat& beat, double now) {
  if (beat.phase == "start" || beat.steps == 0 || beat.step <= newest_step_) return;
  if (newest_step_ >= 0) {
    step_seconds_.push_back((now - newest_step_at_) /
                            static_cast<double>(beat.step - newest_step_));
    if (step_seconds_.size() > kStepsRemembered) step_seconds_.erase(step_seconds_.begin());
  }
  newest_step_ = beat.step;
  newest_step_at_ = now;
}

double Watchdog::silence_of(std::int64_t rank, double now) const {
  const auto found = ranks_.find(rank);
  return found == ranks_.end() ? 0.0 : now - found->second.beat_changed;
}

double Watchdog::median_step() const {
  if (step_seconds_.empty()) return 0.0;
  std::vector<double> sorted = step_seconds_;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::ranges::nth_element(sorted, middle);
  return *middle;
}

double Watchdog::progress_limit(const Heartbeat& beat) const {
  // The first piece of work is to find the others (dist::connect).
  if (beat.phase == "start" && beat.pieces == 0) return limits_.connect;
  if (beat.phase != "train") return limits_.start;
  // The first step pays for what is set up only once; nothing is known of the others yet.
  if (step_seconds_.empty()) return std::max(limits_.start, limits_.hang);
  return std::max(limits_.hang, limits_.factor * median_step());
}

}  // namespace nativo::launch
