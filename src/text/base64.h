// Base64 (RFC 4648, section 4): bytes inside JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nativo::text {

/// The bytes of `text`, or nothing when it is not padded Base64 without line breaks.
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text);

}  // namespace nativo::text
