#include "report/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/hash.h"
#include "base/strings.h"

namespace nativo::report {

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string script_json(const Json& value) {
  std::string out;
  for (const char c : dump_json(value)) {
    switch (c) {
      case '<':
        out += "\\u003c";
        break;
      case '>':
        out += "\\u003e";
        break;
      case '&':
        out += "\\u0026";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string script_hash(std::string_view script) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::string hex = sha256_hex(script);
  const auto value = [&hex](std::size_t i) {
    return i < hex.size() ? static_cast<unsigned>(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10)
                          : 0U;
  };
  // Three hex digits are two of base 64; 64 of them leave one over, hence one '='.
  std::string out = "'sha256-";
  for (std::size_t i = 0; i < hex.size(); i += 3) {
    const unsigned twelve = value(i) << 8 | value(i + 1) << 4 | value(i + 2);
    out += kDigits[twelve >> 6];
    if (i + 1 < hex.size()) out += kDigits[twelve & 63];
  }
  return out + "='";
}

std::string count_text(std::uint64_t count) {
  const std::string digits = std::to_string(count);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string short_number(double value) {
  if (!std::isfinite(value)) return "–";
  const double size = std::abs(value);
  if (size >= 1e9) return fmt::format("{:.3g} G", value * 1e-9);
  if (size >= 1e6) return fmt::format("{:.3g} M", value * 1e-6);
  if (size >= 1e4) return fmt::format("{:.3g} k", value * 1e-3);
  if (size >= 1e3) return count_text(static_cast<std::uint64_t>(std::llround(size)));
  return fmt::format("{:.3g}", value);
}

std::string plain_number(double value) {
  if (!std::isfinite(value)) return "–";
  const double size = std::abs(value);
  if (size >= 1e4 && size < 1e15) {
    return (value < 0 ? "−" : "") + count_text(static_cast<std::uint64_t>(std::llround(size)));
  }
  return fmt::format("{}{:.4g}", value < 0 ? "−" : "", size);
}

std::string words_of(std::string_view name) {
  std::string words(name);
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

}  // namespace nativo::report
