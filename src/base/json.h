// JSON values for small documents (manifests, configs, single records). Keys keep their order, so
// that what we write reads the way it was meant and the same value always gives the same bytes.
// Bulk reading goes through simdjson (data/shapes).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace nativo {

using Json = nlohmann::ordered_json;

/// Serialises on one line. Invalid UTF-8 becomes U+FFFD: what we write is always valid JSON.
[[nodiscard]] std::string dump_json(const Json& value);

/// Serialises indented by two spaces, with a final newline: for files that people open.
[[nodiscard]] std::string dump_json_pretty(const Json& value);

/// Parses `text`; throws Error(kData) that names `where` (a path, or path:line) on bad JSON.
[[nodiscard]] Json parse_json(std::string_view text, std::string_view where);

}  // namespace nativo
