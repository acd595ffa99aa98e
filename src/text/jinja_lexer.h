// A template as tokens, with the white space control that transformers sets (trim_blocks,
// lstrip_blocks; one newline at the end dropped). Not here: grammar (jinja_parser.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nativo::text::jinja {

/// Where something stands in a template, counted from 1; columns are bytes.
struct Position {
  int line = 1;
  int column = 1;
};

enum class TokenKind : std::uint8_t {
  kData,           ///< text outside of tags
  kBlockBegin,     ///< {%
  kBlockEnd,       ///< %}
  kVariableBegin,  ///< {{
  kVariableEnd,    ///< }}
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;  ///< names, operators, data and strings with their escapes resolved
  std::int64_t integer = 0;
  double number = 0.0;
  Position at;
};

/// Throws Error(kData) that names `name`, line and column on what Jinja would not accept, on text
/// that is not UTF-8 and on templates over 1 MiB. The last token is kEnd.
[[nodiscard]] std::vector<Token> tokenize(std::string_view source, std::string_view name);

/// Throws Error(kData): "chat template NAME:line:column: message".
[[noreturn]] void fail_at(std::string_view name, Position at, std::string_view message);

}  // namespace nativo::text::jinja
