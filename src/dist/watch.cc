#include "dist/watch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace nativo::dist {

Watch::Watch(std::string what, double seconds) {
  if (seconds <= 0.0) return;
  thread_ = std::thread([this, what = std::move(what), seconds] {
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return is_over_; })) {
      return;
    }
    log::error("{} after {} s: not all ranks have come; look at what the others were doing", what,
               seconds);
    ::_exit(static_cast<int>(ExitCode::kTryAgain));
  });
}

Watch::~Watch() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

}  // namespace nativo::dist
