#include "base/progress.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/strings.h"

namespace nativo {

Progress::Progress(std::string label, std::uint64_t total, std::string unit)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      start_(monotonic_seconds()),
      last_shown_(start_),
      interval_(log::stderr_is_terminal() ? 0.1 : 10.0) {}

Progress::~Progress() { log::status(""); }

void Progress::advance(std::uint64_t units) {
  const std::lock_guard lock(mutex_);
  done_ += units;
  show(false);
}

void Progress::already(std::uint64_t units) {
  const std::lock_guard lock(mutex_);
  done_ += units;
  skipped_ += units;
}

void Progress::note(std::string text) {
  const std::lock_guard lock(mutex_);
  note_ = std::move(text);
}

void Progress::show(bool force) {
  const double now = monotonic_seconds();
  if (!force && now - last_shown_ < interval_) return;
  last_shown_ = now;
  const double elapsed = now - start_;
  const auto fresh = static_cast<double>(done_ - skipped_);
  const double speed = elapsed > 0.0 ? fresh / elapsed : 0.0;
  std::string text = fmt::format("{:<10} ", label_);
  if (total_ > 0) {
    text += fmt::format("{:3.0f}%  {}/{} {}",
                        100.0 * static_cast<double>(done_) / static_cast<double>(total_), done_,
                        total_, unit_);
  } else {
    text += fmt::format("{} {}", done_, unit_);
  }
  text += fmt::format("  {:.1f}/s", speed);
  if (total_ > done_ && speed > 0.0) {
    text += "  ETA " + human_duration(static_cast<double>(total_ - done_) / speed);
  }
  if (!note_.empty()) text += "  " + note_;
  if (log::stderr_is_terminal()) {
    log::status(text);
  } else {
    log::line("", text);
  }
}

}  // namespace nativo
