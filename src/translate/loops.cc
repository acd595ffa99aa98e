#include "translate/loops.h"

#include <algorithm>

namespace nativo::translate {
namespace {

constexpr std::size_t kLongestPeriod = 256;

bool has_letter(std::string_view text) {
  return std::ranges::any_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           static_cast<unsigned char>(c) >= 0x80;
  });
}

}  // namespace

std::size_t longest_loop(std::string_view text) {
  std::size_t longest = 0;
  for (std::size_t period = 1; period <= kLongestPeriod && period * 3 <= text.size(); ++period) {
    std::size_t run = 0;
    for (std::size_t i = period; i <= text.size(); ++i) {
      if (i < text.size() && text[i] == text[i - period]) {
        ++run;
        continue;
      }
      // Two rounds are said on purpose ("molto, molto"); a loop is what goes beyond.
      if (run >= 2 * period && run - period > longest &&
          has_letter(text.substr(i - period, period))) {
        longest = run - period;
      }
      run = 0;
    }
  }
  return longest;
}

}  // namespace nativo::translate
