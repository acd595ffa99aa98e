// A part of a text.
#pragma once

#include <cstddef>
#include <utility>

namespace nativo::text {

/// Bytes [begin, end) of a text.
using ByteRange = std::pair<std::size_t, std::size_t>;

}  // namespace nativo::text
