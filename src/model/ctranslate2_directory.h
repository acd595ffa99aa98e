// A CTranslate2 model directory: model.bin and what lies beside it (config.json, the vocabularies,
// the vocabulary map). Not here: running it (model/encoder_decoder.h).
// Rule: whatever is read from the folder is checked; nothing is guessed when a file is missing.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "model/ctranslate2_file.h"
#include "model/translation_vocabulary.h"

namespace nativo::model {

/// Which tokens have a meaning of their own. Version 6 says so in config.json, older ones in
/// attributes of model.bin.
struct SpecialTokens {
  std::string unknown = "<unk>";
  std::string begin = "<s>";
  std::string end = "</s>";
  std::optional<std::string> decoder_start = "<s>";  ///< none: every prefix begins with its own
  bool add_source_begin = false;
  bool add_source_end = false;
};

struct CTranslate2Directory {
  std::unique_ptr<CTranslate2File> file;
  SpecialTokens special;
  std::optional<double> layer_norm_epsilon;
  std::shared_ptr<const TranslationVocabulary> source;  ///< the same object as target when shared
  std::shared_ptr<const TranslationVocabulary> target;
  std::unique_ptr<VocabularyMap> map;  ///< null when there is no vmap.txt
};

/// Reads `folder`. Throws Error(kMissingInput) when a file is not there, Error(kData) naming the
/// file and the place when it is not what it should be.
[[nodiscard]] CTranslate2Directory read_ctranslate2_directory(const std::filesystem::path& folder);

/// Reads the keys of config.json that are used here; null where the format allows it.
/// `epsilon` is set when the file has "layer_norm_epsilon". Throws Error(kData) naming `where`.
[[nodiscard]] SpecialTokens parse_ctranslate2_config(std::string_view json, std::string_view where,
                                                     std::optional<double>& epsilon);

}  // namespace nativo::model
