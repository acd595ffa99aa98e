// Pre-tokenised training data: one JSON object a line, {"tokens": [..], "loss_mask": [0, 1, ..]}.
// Not here: text (pipeline/examples.h). Rule: a line that is not exactly this ends the reading with
// its file and line; nothing is guessed, nothing is skipped. Format: docs/formats/tokens.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "io/lines.h"
#include "train/example.h"

namespace nativo::train {

/// The example that `line` holds. Keys: "tokens" (needed, ids in [0, vocab_size)), "loss_mask" (0
/// or 1 a token; absent = all 1), "id", "source", "lang" (text; absent = empty). An unknown key is
/// an error. Throws
/// Error(kData) that begins with `where` ("path:line").
[[nodiscard]] Example example_from_line(std::string_view line, std::string_view where,
                                        std::int64_t vocab_size);

/// Examples of a file (plain, gzip or zstd), one after the other. Empty lines are passed over. An
/// example without an id gets "NAME:LINE" after its file.
class TokenRowReader {
 public:
  /// Throws Error(kMissingInput) when the file cannot be opened.
  TokenRowReader(const std::filesystem::path& path, std::int64_t vocab_size);

  /// Sets `example` to the next one; false at the end. Throws as example_from_line() and
  /// LineReader.
  bool next(Example& example);

  [[nodiscard]] std::string where() const;  ///< "path:line" of the last example

 private:
  io::LineReader lines_;
  std::int64_t vocab_size_;
  std::string line_;
};

/// All examples of a file; those without a source get the file's name without its endings. Throws
/// as TokenRowReader.
[[nodiscard]] std::vector<Example> read_token_rows(const std::filesystem::path& path,
                                                   std::int64_t vocab_size);

}  // namespace nativo::train
