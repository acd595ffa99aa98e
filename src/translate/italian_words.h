// Data for translate/italian.h: sorted by the Spanish word.
#pragma once

#include <array>
#include <string_view>
#include <utility>

namespace nativo::translate {

struct WordPair {
  std::string_view spanish;
  std::string_view italian;
};

inline constexpr auto kItalianWords = std::to_array<WordPair>({
    {"acaece", "diventa"},
});

/// Wrong wherever it appears: "para" read as a form of "parir", and the like.
inline constexpr auto kItalianPhrases =
    std::to_array<std::pair<std::string_view, std::string_view>>({
        {"partorisca", "per"},
        {"Partorisca", "Per"},
    });

}  // namespace nativo::translate
