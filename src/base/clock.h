// Time: monotonic seconds for durations, UTC stamps for files that people read.
#pragma once

#include <string>

namespace nativo {

/// Seconds from an arbitrary start; never goes back.
[[nodiscard]] double monotonic_seconds();

/// CPU seconds this process has used, user and system, all threads.
[[nodiscard]] double cpu_seconds();

/// Seconds since 1970-01-01T00:00:00Z, to the millisecond.
[[nodiscard]] double unix_seconds();

/// "2026-01-31T12:00:00Z".
[[nodiscard]] std::string utc_now();

}  // namespace nativo
