// Inside of the ingest: the shapes of rows and what is cut from their texts. Not for other folders.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/source.h"

namespace nativo::data {

/// Names as [source.NAME] shape takes them; the order is Shape's.
[[nodiscard]] const std::vector<std::string_view>& shape_names();

/// Removes GSM8K's calculator marks ("48/2 = <<48/2=24>>24"; Cobbe et al. 2021); returns how many.
std::size_t strip_calculator_marks(std::string& text);

/// Removes a front matter block (--- ... --- with "key: value" lines) at the begin; false if none.
bool strip_front_matter(std::string& text);

/// Cuts Project Gutenberg's header and footer ("*** START OF", "*** END OF"); returns how many
/// lines the header had, nothing when there is none.
std::optional<std::size_t> cut_gutenberg(std::string& text);

/// A run of whole paragraphs of a long text.
struct Passage {
  std::string text;
  std::size_t line = 0;  ///< where it begins, 1-based
};

/// Splits at blank lines into passages of at most `max_characters`; a longer paragraph is split at
/// its line ends, sentences or words. With `unwrap`, hard-wrapped lines of prose are joined.
[[nodiscard]] std::vector<Passage> split_passages(std::string_view text, std::size_t max_characters,
                                                  bool unwrap);

}  // namespace nativo::data
