// The checksum that some formats of others ask for.
#pragma once

#include <cstdint>
#include <string_view>

namespace nativo {

/// CRC-32C (Castagnoli; RFC 3720, B.4).
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes);

}  // namespace nativo
