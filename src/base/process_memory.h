// How much memory this process holds.
#pragma once

#include <cstdint>

namespace nativo {

/// Bytes resident now; 0 where the system does not say.
[[nodiscard]] std::uint64_t resident_bytes();

}  // namespace nativo
