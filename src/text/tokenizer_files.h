// The files that make a tokenizer in a model's folder, and the control tokens that those beside the
// main one name.
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "text/piece_table.h"

namespace nativo::text {

/// Name (without folder) to content.
using TokenizerFiles = std::map<std::string, std::string>;

inline constexpr const char* kSentencePieceFile = "tokenizer.model";
inline constexpr const char* kHfTokenizerFile = "tokenizer.json";
inline constexpr const char* kTokenizerConfigFile = "tokenizer_config.json";
inline constexpr const char* kSpecialTokensFile = "special_tokens_map.json";
inline constexpr const char* kChatTemplateFile = "chat_template.jinja";
inline constexpr const char* kGenerationConfigFile = "generation_config.json";
inline constexpr std::array kTokenizerFileNames = {kHfTokenizerFile,     kSentencePieceFile,
                                                   kTokenizerConfigFile, kSpecialTokensFile,
                                                   kChatTemplateFile,    kGenerationConfigFile};

/// The file that Tokenizer(path) reads: `path` itself, or in a model's folder tokenizer.json, else
/// tokenizer.model. Throws Error(kMissingInput) when there is none.
[[nodiscard]] std::filesystem::path find_tokenizer(const std::filesystem::path& path);

/// The file that find_tokenizer() names, under the name that a model's folder gives it, and from
/// beside it whatever there is of the six above. config.json is read too, for its ids alone, where
/// no generation_config.json has them.
[[nodiscard]] TokenizerFiles read_tokenizer_files(const std::filesystem::path& path);

/// A control token by its spelling or by its id.
struct NamedToken {
  std::string piece = {};
  TokenId id = -1;
};

/// What the files say of the tokens that begin and end a sequence.
struct NamedTokens {
  NamedToken bos = {};
  NamedToken eos = {};
  std::vector<TokenId> ends = {};  ///< eos_token_id of generation_config.json (or config.json)
};

/// tokenizer_config.json's and special_tokens_map.json's bos_token and eos_token, else
/// generation_config.json's and config.json's ids. Throws Error(kData) that names the file when one
/// of them is damaged.
[[nodiscard]] NamedTokens named_tokens(const TokenizerFiles& files);

}  // namespace nativo::text
