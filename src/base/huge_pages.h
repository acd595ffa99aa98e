// Memory that is read all over, in pages of 2 MiB where the system grants them: fewer walks through
// its tables, and a prefetcher that need not stop every 4 KiB. A refusal changes nothing but speed.
#pragma once

#include <cstddef>

namespace nativo {

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// Asks for huge pages where they lie wholly within `bytes` from `memory`, which was allocated but
/// not written yet.
void prefer_huge_pages(void* memory, std::size_t bytes);

}  // namespace nativo
