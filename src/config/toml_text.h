// How single keys and values look in TOML (toml.io/en/v1.0.0), and in messages about them.
// Private to config.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/visitor.h"

namespace nativo::config {

/// A key, quoted when it is not a bare one.
[[nodiscard]] std::string toml_key(std::string_view name);

/// Keys joined by dots; two different lists never give the same text.
[[nodiscard]] std::string toml_dotted(const std::vector<std::string>& names);

/// Values. A double is the shortest text that reads back as the same number, and never looks like
/// an integer.
[[nodiscard]] std::string toml_value(bool value);
[[nodiscard]] std::string toml_value(std::int64_t value);
[[nodiscard]] std::string toml_value(double value);
[[nodiscard]] std::string toml_value(std::string_view value);
[[nodiscard]] std::string toml_value(const std::vector<std::string>& value);

/// "from 0 to 1", "at least 1", "at most 8", or "" when any number will do.
[[nodiscard]] std::string range_text(const Field& field);

/// "one of \"a\", \"b\"", or "" when any string will do.
[[nodiscard]] std::string choices_text(const Field& field);

/// 1-based line where values nest more than 16 deep or a key has more than 32 parts, or 0. The tree
/// that a parser builds would be as deep, and everything that walks it would run out of stack.
[[nodiscard]] std::size_t line_of_deep_nesting(std::string_view toml);

}  // namespace nativo::config
