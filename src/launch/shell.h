// Words that a shell takes back as they were.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nativo::launch {

/// `word` as one word of a POSIX shell, quoted only where it must be. NUL cannot be in it.
[[nodiscard]] std::string shell_word(std::string_view word);

/// A command line.
[[nodiscard]] std::string shell_command(const std::vector<std::string>& words);

}  // namespace nativo::launch
