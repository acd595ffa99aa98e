#include "model/ctranslate2_directory.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/json.h"
#include "io/file.h"
#include "model/json_reader.h"

namespace nativo::model {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxText = std::uint64_t{64} << 20;  // of a vocabulary or config.json
constexpr std::uint64_t kMaxMap = std::uint64_t{1} << 30;    // of a vocabulary map

std::string string_of(const JsonReader& reader, const char* key, const std::string& otherwise) {
  const Json* value = reader.find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_string()) reader.fail(key, "must be a string");
  return value->get<std::string>();
}

/// What versions 1 to 5 keep as attributes.
SpecialTokens special_of_attributes(const CTranslate2File& file) {
  SpecialTokens special;
  special.unknown = file.text("unk_token").value_or(special.unknown);
  special.begin = file.text("bos_token").value_or(special.begin);
  special.end = file.text("eos_token").value_or(special.end);
  special.add_source_begin = file.integer("with_source_bos").value_or(0) != 0;
  special.add_source_end = file.integer("with_source_eos").value_or(0) != 0;
  if (file.integer("user_decoder_start_tokens").value_or(0) != 0) {
    special.decoder_start.reset();
  } else {
    special.decoder_start =
        file.integer("with_target_bos").value_or(1) != 0 ? special.begin : special.end;
  }
  return special;
}

/// NAME.json or NAME.txt; null when there is neither.
std::shared_ptr<const TranslationVocabulary> read_vocabulary(const fs::path& folder,
                                                             const std::string& name,
                                                             const std::string& unknown) {
  const fs::path json = folder / (name + ".json");
  const fs::path text = folder / (name + ".txt");
  std::vector<std::string> tokens;
  if (fs::exists(json)) {
    tokens = parse_vocabulary_json(io::read_file(json, kMaxText), json.native());
  } else if (fs::exists(text)) {
    tokens = parse_vocabulary_text(io::read_file(text, kMaxText));
  } else {
    return nullptr;
  }
  return std::make_shared<TranslationVocabulary>(std::move(tokens), unknown);
}

}  // namespace

SpecialTokens parse_ctranslate2_config(std::string_view json, std::string_view where,
                                       std::optional<double>& epsilon) {
  const Json root = parse_json(json, where);
  if (!root.is_object()) throw Error(ExitCode::kData, fmt::format("{}: not an object", where));
  const JsonReader reader(root, where);
  SpecialTokens special;
  special.unknown = string_of(reader, "unk_token", special.unknown);
  special.begin = string_of(reader, "bos_token", special.begin);
  special.end = string_of(reader, "eos_token", special.end);
  special.decoder_start = special.begin;
  if (reader.has("decoder_start_token")) {
    special.decoder_start.reset();
    if (reader.find("decoder_start_token") != nullptr) {
      special.decoder_start = string_of(reader, "decoder_start_token", "");
    }
  }
  special.add_source_begin = reader.boolean("add_source_bos", false);
  special.add_source_end = reader.boolean("add_source_eos", false);
  if (reader.find("layer_norm_epsilon") != nullptr) {
    epsilon = reader.positive("layer_norm_epsilon", 0.0);
  }
  return special;
}

CTranslate2Directory read_ctranslate2_directory(const fs::path& folder) {
  CTranslate2Directory directory;
  const fs::path binary = folder / "model.bin";
  if (!fs::exists(binary)) {
    throw Error(ExitCode::kMissingInput, folder.native() + ": no model.bin in it",
                "a CTranslate2 model is a folder with model.bin and its vocabularies");
  }
  directory.file =
      std::make_unique<CTranslate2File>(io::read_file(binary, UINT64_MAX), binary.native());
  if (directory.file->version() >= 6) {
    const fs::path config = folder / "config.json";
    directory.special = parse_ctranslate2_config(io::read_file(config, kMaxText), config.native(),
                                                 directory.layer_norm_epsilon);
  } else {
    directory.special = special_of_attributes(*directory.file);
  }
  const std::string& unknown = directory.special.unknown;
  directory.target = read_vocabulary(folder, "shared_vocabulary", unknown);
  directory.source = directory.target;
  if (directory.target == nullptr) {
    directory.source = read_vocabulary(folder, "source_vocabulary", unknown);
    directory.target = read_vocabulary(folder, "target_vocabulary", unknown);
  }
  if (directory.source == nullptr || directory.target == nullptr) {
    const bool features = fs::exists(folder / "source_1_vocabulary.txt") ||
                          fs::exists(folder / "source_1_vocabulary.json");
    throw Error(features ? ExitCode::kData : ExitCode::kMissingInput,
                folder.native() + (features ? ": models with several source features are not read"
                                            : ": no vocabulary in it"),
                "shared_vocabulary, or source_vocabulary and target_vocabulary, .json or .txt");
  }
  const fs::path map = folder / "vmap.txt";
  if (fs::exists(map)) {
    directory.map = std::make_unique<VocabularyMap>(io::read_file(map, kMaxMap), *directory.target,
                                                    map.native());
  }
  return directory;
}

}  // namespace nativo::model
