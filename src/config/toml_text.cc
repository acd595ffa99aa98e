#include "config/toml_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace nativo::config {
namespace {

bool is_bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

/// The position behind the string that opens at `pos`.
std::size_t skip_string(std::string_view text, std::size_t pos) {
  const char quote = text[pos];
  const std::string triple(3, quote);
  const bool long_form = text.substr(pos, 3) == triple;
  for (pos += long_form ? 3 : 1; pos < text.size(); ++pos) {
    if (text[pos] == '\\' && quote == '"') {
      ++pos;
    } else if (long_form) {
      if (text.substr(pos, 3) == triple) return pos + 3;
    } else if (text[pos] == quote || text[pos] == '\n') {
      return text[pos] == quote ? pos + 1 : pos;
    }
  }
  return text.size();
}

}  // namespace

std::string toml_key(std::string_view name) {
  const bool bare = !name.empty() && std::all_of(name.begin(), name.end(), is_bare);
  return bare ? std::string(name) : toml_value(name);
}

std::string toml_dotted(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    if (!out.empty()) out += '.';
    out += toml_key(name);
  }
  return out;
}

std::string toml_value(bool value) { return value ? "true" : "false"; }

std::string toml_value(std::int64_t value) { return fmt::format("{}", value); }

std::string toml_value(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string toml_value(std::string_view value) {
  std::string out = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\u{:04X}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string toml_value(const std::vector<std::string>& value) {
  std::string out = "[";
  for (const std::string& item : value) {
    if (out.size() > 1) out += ", ";
    out += toml_value(item);
  }
  return out + "]";
}

std::string range_text(const Field& field) {
  const bool low = field.min > std::numeric_limits<double>::lowest();
  const bool high = field.max < std::numeric_limits<double>::max();
  if (low && high) return fmt::format("from {} to {}", field.min, field.max);
  if (low) return fmt::format("at least {}", field.min);
  if (high) return fmt::format("at most {}", field.max);
  return {};
}

std::string choices_text(const Field& field) {
  std::string out;
  for (const std::string_view choice : field.choices) {
    out += out.empty() ? "one of " : ", ";
    out += toml_value(choice);
  }
  return out;
}

std::size_t line_of_deep_nesting(std::string_view toml) {
  constexpr int kMostDots = 31;
  constexpr int kMostBrackets = 16;
  int dots = 0;
  int brackets = 0;
  for (std::size_t pos = 0; pos < toml.size();) {
    const char c = toml[pos];
    if (c == '"' || c == '\'') {
      pos = skip_string(toml, pos);
      continue;
    }
    if (c == '#') {
      pos = std::min(toml.find('\n', pos), toml.size());
      continue;
    }
    if (std::string_view("\n=,[{").find(c) != std::string_view::npos) dots = 0;
    if (c == '.') ++dots;
    if (c == '[' || c == '{') ++brackets;
    if ((c == ']' || c == '}') && brackets > 0) --brackets;
    if (dots > kMostDots || brackets > kMostBrackets) {
      const auto end = toml.begin() + static_cast<std::ptrdiff_t>(pos);
      return static_cast<std::size_t>(std::count(toml.begin(), end, '\n')) + 1;
    }
    ++pos;
  }
  return 0;
}

}  // namespace nativo::config
