// layers: model
// Any bytes as config.json, a vocabulary in either form, and a vocabulary map: refused with an
// Error, or every id that comes out is one of the vocabulary's.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/ctranslate2_directory.h"
#include "model/translation_vocabulary.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace model = nativo::model;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string> tokens = model::parse_vocabulary_text(bytes);
  const model::TranslationVocabulary vocabulary(tokens, "<unk>");
  for (const std::string& token : tokens) {
    if (vocabulary.token(vocabulary.id(token)) != token) std::abort();
  }
  try {
    const model::VocabularyMap map(bytes, vocabulary, "fuzz");
    for (const std::int32_t id : map.candidates(tokens)) (void)vocabulary.token(id);
  } catch (const nativo::Error&) {
    // refused
  }
  try {
    (void)model::TranslationVocabulary(model::parse_vocabulary_json(bytes, "fuzz"), "<unk>");
  } catch (const nativo::Error&) {
    // refused
  }
  try {
    std::optional<double> epsilon;
    (void)model::parse_ctranslate2_config(bytes, "fuzz", epsilon);
  } catch (const nativo::Error&) {
    return 0;
  }
  return 0;
}
