// Italian text for the tests of this folder: the first chapters of Pinocchio, a string a paragraph.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/file.h"

namespace nativo::text {

inline const std::vector<std::string>& sample_texts() {
  static const std::vector<std::string> paragraphs = [] {
    const std::string all =
        io::read_file(std::filesystem::path(NATIVO_TEST_DATA) / "text" / "pinocchio.txt");
    std::vector<std::string> result;
    for (std::size_t at = 0; at < all.size();) {
      std::size_t end = all.find("\n\n", at);
      if (end == std::string::npos) end = all.size();
      if (end > at) result.push_back(all.substr(at, end - at));
      at = end + 2;
    }
    return result;
  }();
  return paragraphs;
}

}  // namespace nativo::text
