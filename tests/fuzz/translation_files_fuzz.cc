// layers: eval
// Any bytes as a file of translations and as references: refused with an Error, or segments that
// can be scored, with scores between 0 and 100.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "base/error.h"
#include "eval/bleu.h"
#include "eval/translation_files.h"
#include "eval/translation_scores.h"
#include "io/file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace fs = std::filesystem;
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  static_cast<void>(nativo::eval::tokenize_13a(bytes));
  const std::string_view first = bytes.substr(0, bytes.size() * data[1] / 255);
  static const fs::path folder = fs::temp_directory_path() / "nativo-translation-fuzz";
  fs::create_directories(folder);
  const fs::path hypotheses = folder / ((data[0] & 1U) != 0 ? "h.jsonl" : "h");
  const fs::path reference = folder / ((data[0] & 2U) != 0 ? "r.jsonl" : "r");
  nativo::io::write_file_atomically(hypotheses, first);
  nativo::io::write_file_atomically(reference, bytes.substr(first.size()));
  try {
    const std::vector<fs::path> references = {reference};
    const auto set = nativo::eval::read_translations(
        hypotheses, (data[0] & 4U) != 0 ? std::span<const fs::path>() : references);
    const auto scores = nativo::eval::score_translations({&set, 1}, {.resamples = 2});
    const double bleu = scores["systems"][0]["bleu"]["score"].get<double>();
    const double chrf = scores["systems"][0]["chrf"]["score"].get<double>();
    if (!(bleu >= 0 && bleu <= 100.001 && chrf >= 0 && chrf <= 100.001)) std::abort();
  } catch (const nativo::Error&) {
    return 0;
  }
  return 0;
}
