#include "text/white_space.h"

#include <cstddef>

#include "text/normalize.h"

namespace nativo::text {

std::vector<std::string_view> split_white_space(std::string_view text) {
  std::vector<std::string_view> words;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const char32_t c = static_cast<unsigned char>(text[at]) < 0x80
                           ? static_cast<char32_t>(text[at++])
                           : next_code_point(text, at);
    if (!is_white_space(c)) continue;
    if (start > begin) words.push_back(text.substr(begin, start - begin));
    begin = at;
  }
  if (begin < text.size()) words.push_back(text.substr(begin));
  return words;
}

}  // namespace nativo::text
