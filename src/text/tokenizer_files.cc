#include "text/tokenizer_files.h"

#include "base/error.h"
#include "base/json.h"
#include "io/file.h"
#include "text/hf_tokenizer.h"

namespace nativo::text {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigFile = "config.json";
constexpr std::uint64_t kMostSideBytes = std::uint64_t{16} << 20;

bool is_json(std::string_view bytes) {
  const std::size_t first = bytes.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && bytes[first] == '{';
}

Json read(const TokenizerFiles& files, const char* name) {
  const auto file = files.find(name);
  if (file == files.end()) return Json::object();
  Json json = parse_json(file->second, name);
  if (!json.is_object()) {
    throw Error(ExitCode::kData, std::string(name) + ": is not an object", "the file is damaged");
  }
  return json;
}

/// "</s>" or {"content": "</s>", ...}
std::string spelled(const Json& json, const char* key) {
  const auto token = json.find(key);
  if (token == json.end()) return {};
  if (token->is_string()) return token->get<std::string>();
  if (!token->is_object()) return {};
  const auto content = token->find("content");
  return content != token->end() && content->is_string() ? content->get<std::string>() : "";
}

/// A number or a list of them.
std::vector<TokenId> ids_of(const Json& json, const char* key) {
  std::vector<TokenId> ids;
  const auto value = json.find(key);
  if (value == json.end()) return ids;
  const auto add = [&ids](const Json& id) {
    if (!id.is_number_integer()) return;
    const auto number = id.get<std::int64_t>();
    if (number >= 0 && number < (std::int64_t{1} << 31))
      ids.push_back(static_cast<TokenId>(number));
  };
  if (value->is_array()) {
    for (const Json& id : *value) add(id);
  } else {
    add(*value);
  }
  return ids;
}

}  // namespace

fs::path find_tokenizer(const fs::path& path) {
  if (!fs::is_directory(path)) return path;
  for (const char* name : {kHfTokenizerFile, kSentencePieceFile}) {
    if (fs::exists(path / name)) return path / name;
  }
  throw Error(ExitCode::kMissingInput, path.native() + ": no tokenizer in this folder",
              "a model's folder holds tokenizer.json or tokenizer.model");
}

TokenizerFiles read_tokenizer_files(const fs::path& path) {
  const fs::path main = find_tokenizer(path);
  TokenizerFiles files;
  std::string bytes = io::read_file(main, kMaxTokenizerJsonBytes);
  const bool hugging_face = is_json(bytes);
  files[hugging_face ? kHfTokenizerFile : kSentencePieceFile] = std::move(bytes);
  const auto beside = [&](const char* name) {
    const fs::path file = main.parent_path() / name;
    if (fs::is_regular_file(file)) files[name] = io::read_file(file, kMostSideBytes);
  };
  if (hugging_face && main.filename() == kHfTokenizerFile) {
    // The same tokenizer for programs that read nothing else.
    const fs::path model = main.parent_path() / kSentencePieceFile;
    if (fs::is_regular_file(model)) {
      files[kSentencePieceFile] = io::read_file(model, kMaxTokenizerJsonBytes);
    }
  }
  for (const char* name : {kTokenizerConfigFile, kSpecialTokensFile, kChatTemplateFile,
                           kGenerationConfigFile, kConfigFile}) {
    beside(name);
  }
  return files;
}

NamedTokens named_tokens(const TokenizerFiles& files) {
  NamedTokens named;
  for (const char* name : {kTokenizerConfigFile, kSpecialTokensFile}) {
    const Json json = read(files, name);
    if (named.bos.piece.empty()) named.bos.piece = spelled(json, "bos_token");
    if (named.eos.piece.empty()) named.eos.piece = spelled(json, "eos_token");
  }
  for (const char* name : {kGenerationConfigFile, kConfigFile}) {
    const Json json = read(files, name);
    if (const auto ids = ids_of(json, "bos_token_id"); named.bos.id < 0 && !ids.empty()) {
      named.bos.id = ids[0];
    }
    if (const auto ids = ids_of(json, "eos_token_id"); named.ends.empty()) named.ends = ids;
  }
  if (!named.ends.empty()) named.eos.id = named.ends[0];
  return named;
}

}  // namespace nativo::text
