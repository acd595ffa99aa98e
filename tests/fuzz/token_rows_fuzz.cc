// layers: train
// A line of pre-tokenised data: an example whose mask fits its tokens, or an Error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "train/token_rows.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::int64_t kVocabulary = 1000;
  try {
    const nativo::train::Example example = nativo::train::example_from_line(
        std::string_view(reinterpret_cast<const char*>(data), size), "fuzz:1", kVocabulary);
    if (example.tokens.size() != example.loss_mask.size()) std::abort();
    for (const std::int32_t token : example.tokens) {
      if (token < 0 || token >= kVocabulary) std::abort();
    }
    for (const std::uint8_t mask : example.loss_mask) {
      if (mask > 1) std::abort();
    }
  } catch (const nativo::Error& e) {
    if (e.code() != nativo::ExitCode::kData) std::abort();
  }
  return 0;
}
