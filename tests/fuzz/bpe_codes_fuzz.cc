// layers: text
// Any bytes as BPE codes, and any text through them, Moses's tokenizer and back: refused with an
// Error, or the pieces of a word are the word.
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "text/bpe_codes.h"
#include "text/moses_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace text = nativo::text;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t half = std::min(bytes.find('\0'), bytes.size());
  const std::string_view rest = bytes.substr(half);
  std::vector<std::string> words;
  if (nativo::is_valid_utf8(rest)) {
    // Their lists of abbreviations are read once: reading takes as long as all the rest.
    static const std::map<std::string, text::MosesTokenizer> tokenizers = [] {
      std::map<std::string, text::MosesTokenizer> all;
      for (const char* lang : {"en", "it", "es", "zh"}) all.emplace(lang, lang);
      return all;
    }();
    for (const auto& [lang, tokenizer] : tokenizers) {
      const std::vector<std::string> tokens = tokenizer.tokenize(text::moses_normalize(rest, lang));
      (void)text::moses_detokenize(tokens, lang);
      words.insert(words.end(), tokens.begin(), tokens.end());
    }
  }
  try {
    const text::BpeCodes codes(bytes.substr(0, half), "fuzz");
    for (const std::string& word : words) {
      std::vector<std::string> pieces;
      codes.encode(word, pieces);
      std::string joined;
      for (std::size_t i = 0; i < pieces.size(); ++i) {
        const std::size_t mark = i + 1 < pieces.size() ? 2 : 0;
        joined += pieces[i].substr(0, pieces[i].size() - mark);
      }
      if (joined != word) std::abort();
    }
  } catch (const nativo::Error&) {
    // refused
  }
  return 0;
}
