// How fast a tokenizer encodes on one thread: MB a CPU-second of a text, line by line, best of
// several passes. Usage: tokenize TOKENIZER TEXT [passes]. Not a test: it checks nothing. Driver:
// bench/tokenize.
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "base/strings.h"
#include "io/file.h"
#include "text/tokenizer.h"

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: tokenize TOKENIZER TEXT [passes]\n");
    return 64;
  }
  try {
    const double before = nativo::monotonic_seconds();
    const nativo::text::Tokenizer tokenizer{std::filesystem::path(argv[1])};
    const double loaded = nativo::monotonic_seconds() - before;
    const std::string text = nativo::io::read_file(argv[2]);
    const auto lines = nativo::split(text, '\n');
    const int passes = argc > 3 ? std::atoi(argv[3]) : 5;
    double best = 1e300;
    std::size_t tokens = 0;
    for (int pass = 0; pass < passes; ++pass) {
      tokens = 0;
      const std::clock_t start = std::clock();
      for (const std::string_view line : lines) tokens += tokenizer.encode(line).size();
      best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
    }
    fmt::print("{{\"load_s\": {:.3f}, \"tokens\": {}, \"mb_per_s\": {:.3f}}}\n", loaded, tokens,
               static_cast<double>(text.size()) * 1e-6 / best);
  } catch (const nativo::Error& e) {
    fmt::print(stderr, "{}\n", e.what());
    return static_cast<int>(e.code());
  }
  return 0;
}
