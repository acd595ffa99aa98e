// Threads that work beside a training.
#pragma once

#include <sys/resource.h>

namespace nativo::train {

/// Of a thread that writes while others compute: these come first.
inline void lower_priority() {
  const int niceness = ::getpriority(PRIO_PROCESS, 0);  // on Linux, the calling thread's
  static_cast<void>(::setpriority(PRIO_PROCESS, 0, niceness + 10));
}

}  // namespace nativo::train
