#include "train/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/strings.h"

namespace nativo::train {
namespace {

constexpr double kSecondsBetweenLines = 10.0;
constexpr double kSecondsBetweenRedraws = 0.1;
constexpr std::size_t kPlainWidth = 160;
constexpr std::size_t kSourcesShown = 3;

/// "qa 2.10 code 3.42": those with the most targets.
std::string source_hint(const std::map<std::string, SourceLoss>& sources) {
  std::vector<std::pair<std::string, SourceLoss>> largest;
  for (const auto& [name, source] : sources) {
    if (!name.empty() && source.targets > 0) largest.emplace_back(name, source);
  }
  if (largest.size() < 2) return {};
  std::stable_sort(largest.begin(), largest.end(), [](const auto& a, const auto& b) {
    return a.second.targets > b.second.targets;
  });
  std::string text;
  for (std::size_t i = 0; i < std::min(kSourcesShown, largest.size()); ++i) {
    const auto& [name, source] = largest[i];
    text += fmt::format("{}{} {:.2f}", i == 0 ? "" : " ", utf8_prefix(printable(name), 12),
                        source.loss / static_cast<double>(source.targets));
  }
  return text;
}

/// A part of the line; those of low importance are left out when there is no room.
struct Part {
  int importance;
  std::string text;
};

}  // namespace

std::string status_line(const Status& status, std::size_t width) {
  const double share = static_cast<double>(status.step) / static_cast<double>(status.steps);
  std::vector<Part> parts = {
      {9, fmt::format("{} {}/{} {:.0f}%", status.label, status.step, status.steps, 100.0 * share)},
      {9, fmt::format("loss {:.4f}", status.loss)},
      {1, source_hint(status.sources)},
      {4, fmt::format("lr {:.1e}", status.lr)},
      {5, fmt::format("grad {:.3g}", status.gradient_norm)},
      {7, fmt::format("{:.0f} tok/s", status.tokens_per_second)}};
  if (status.percent_of_gemm) {
    parts.push_back({3, fmt::format("{:.0f}% of GEMM", *status.percent_of_gemm)});
  }
  if (status.memory > 0.0) parts.push_back({2, human_bytes(status.memory)});
  if (status.seconds_left) {
    parts.push_back({8, "ETA " + human_duration(*status.seconds_left)});
  }
  std::erase_if(parts, [](const Part& part) { return part.text.empty(); });
  const auto join = [&](int least) {
    std::string line;
    for (const Part& part : parts) {
      if (part.importance < least) continue;
      line += (line.empty() ? "" : "  ") + part.text;
    }
    return line;
  };
  for (int least = 0; least < 9; ++least) {
    std::string line = join(least);
    if (count_code_points(line) <= width) return line;
  }
  return join(9);
}

StatusDisplay::StatusDisplay() : last_shown_(monotonic_seconds()) {}

StatusDisplay::~StatusDisplay() { log::status(""); }

void StatusDisplay::show(const Status& status) {
  const bool redraws = log::stderr_is_terminal();
  const double now = monotonic_seconds();
  const bool is_last = status.step == status.steps;
  const double interval = redraws ? kSecondsBetweenRedraws : kSecondsBetweenLines;
  if (!is_last && now - last_shown_ < interval) return;
  last_shown_ = now;
  if (redraws) {
    // A line as wide as the terminal would wrap.
    log::status(status_line(status, log::terminal_columns() - 1));
  } else {
    log::line("", status_line(status, kPlainWidth));
  }
}

}  // namespace nativo::train
