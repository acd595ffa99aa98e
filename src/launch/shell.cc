#include "launch/shell.h"

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::launch {

std::string shell_word(std::string_view word) {
  NATIVO_CHECK(word.find('\0') == std::string_view::npos, "no argument holds a NUL");
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-./:=,+@%").find(c) != std::string_view::npos;
  };
  if (!word.empty() && std::ranges::all_of(word, plain)) return std::string(word);
  std::string quoted("'");
  quoted += replace_all(word, "'", "'\\''");
  quoted += '\'';
  return quoted;
}

std::string shell_command(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line += ' ';
    line += shell_word(word);
  }
  return line;
}

}  // namespace nativo::launch
