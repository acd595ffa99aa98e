// What counts as a duplicate.
#pragma once

#include <cstdint>

#include "config/visitor.h"

namespace nativo::dedup {

/// [dedup]
struct DedupOptions {
  bool near_duplicates = true;
  double threshold = 0.9;
  bool rescore = true;
  std::int64_t dimension = 384;
  std::int64_t min_characters = 40;
  bool numbers_matter = true;

  void visit(config::Visitor& v) {
    v.value({.name = "near_duplicates",
             .help = "also drop near-duplicates; exact duplicates always go"},
            near_duplicates);
    v.value({.name = "threshold",
             .help = "cosine of character 3- to 5-grams from which on two texts are the same",
             .min = 0.5,
             .max = 1.0},
            threshold);
    v.value({.name = "rescore", .help = "confirm each pair with exact n-grams before dropping"},
            rescore);
    v.value({.name = "dimension",
             .help = "length of the hashed vectors; a multiple of 8",
             .min = 64,
             .max = 4096},
            dimension);
    v.value({.name = "min_characters",
             .help = "shorter texts are compared exactly only",
             .min = 0,
             .max = 1e9},
            min_characters);
    v.value(
        {.name = "numbers_matter", .help = "conversations with other numbers are other exercises"},
        numbers_matter);
  }
};

}  // namespace nativo::dedup
