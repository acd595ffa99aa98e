#include "train/token_rows.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"

namespace nativo::train {
namespace {

constexpr const char* kHint =
    "a line is {\"tokens\": [1, 2, 3], \"loss_mask\": [0, 1, 1]}; the mask may be absent";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

[[noreturn]] void bad(std::string_view where, const std::string& reason) {
  throw Error(ExitCode::kData, fmt::format("{}: {}", printable(where), reason), kHint);
}

const Json& list_of(const Json& value, const char* key, std::string_view where) {
  if (!value.is_array()) bad(where, fmt::format("\"{}\" is not a list", key));
  return value;
}

std::int64_t whole_number(const Json& value, const char* key, std::size_t index,
                          std::string_view where) {
  if (!value.is_number_integer()) {
    bad(where, fmt::format("{}[{}] is not a whole number", key, index));
  }
  // Beyond 63 bits it is out of every range anyway.
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX) return INT64_MAX;
  return value.get<std::int64_t>();
}

std::vector<std::int32_t> read_tokens(const Json& list, std::string_view where,
                                      std::int64_t vocab_size) {
  std::vector<std::int32_t> tokens;
  tokens.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::int64_t token = whole_number(list[i], "tokens", i, where);
    if (token < 0 || token >= vocab_size) {
      bad(where,
          fmt::format("tokens[{}] = {} is outside the vocabulary of {}", i, token, vocab_size));
    }
    tokens.push_back(static_cast<std::int32_t>(token));
  }
  return tokens;
}

std::vector<std::uint8_t> read_mask(const Json& list, std::string_view where) {
  std::vector<std::uint8_t> mask;
  mask.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::int64_t value = whole_number(list[i], "loss_mask", i, where);
    if (value != 0 && value != 1) {
      bad(where, fmt::format("loss_mask[{}] = {} is neither 0 nor 1", i, value));
    }
    mask.push_back(static_cast<std::uint8_t>(value));
  }
  return mask;
}

std::string text_of(const Json& value, const std::string& key, std::string_view where) {
  if (!value.is_string()) bad(where, fmt::format("\"{}\" is not text", key));
  return value.get<std::string>();
}

}  // namespace

Example example_from_line(std::string_view line, std::string_view where, std::int64_t vocab_size) {
  const Json json = parse_json(line, printable(where));
  if (!json.is_object()) bad(where, "not a JSON object");
  Example example;
  bool has_tokens = false;
  bool has_mask = false;
  for (const auto& [key, value] : json.items()) {
    if (key == "tokens") {
      example.tokens = read_tokens(list_of(value, "tokens", where), where, vocab_size);
      has_tokens = true;
    } else if (key == "loss_mask") {
      example.loss_mask = read_mask(list_of(value, "loss_mask", where), where);
      has_mask = true;
    } else if (key == "id") {
      example.id = text_of(value, key, where);
    } else if (key == "source") {
      example.source = text_of(value, key, where);
    } else if (key == "lang") {
      example.lang = text_of(value, key, where);
    } else {
      bad(where, fmt::format("unknown key \"{}\" (known: tokens, loss_mask, id, source, lang)",
                             printable(key)));
    }
  }
  if (!has_tokens) bad(where, "no \"tokens\"");
  if (!has_mask) example.loss_mask.assign(example.tokens.size(), 1);
  if (example.loss_mask.size() != example.tokens.size()) {
    bad(where, fmt::format("{} tokens but a loss_mask of {}", example.tokens.size(),
                           example.loss_mask.size()));
  }
  return example;
}

TokenRowReader::TokenRowReader(const std::filesystem::path& path, std::int64_t vocab_size)
    : lines_(path), vocab_size_(vocab_size) {}

std::string TokenRowReader::where() const {
  return fmt::format("{}:{}", lines_.path().native(), lines_.line_number());
}

bool TokenRowReader::next(Example& example) {
  while (lines_.next(line_)) {
    std::string_view line = line_;
    if (lines_.line_number() == 1 && line.starts_with(kByteOrderMark)) line.remove_prefix(3);
    if (trim(line).empty()) continue;
    example = example_from_line(line, where(), vocab_size_);
    if (example.id.empty()) {
      example.id = fmt::format("{}:{}", lines_.path().filename().native(), lines_.line_number());
    }
    return true;
  }
  return false;
}

std::vector<Example> read_token_rows(const std::filesystem::path& path, std::int64_t vocab_size) {
  const std::string file = path.filename().native();
  const std::string name = file.substr(0, file.find('.'));
  TokenRowReader reader(path, vocab_size);
  std::vector<Example> examples;
  for (Example example; reader.next(example);) {
    if (example.source.empty()) example.source = name;
    examples.push_back(std::move(example));
  }
  return examples;
}

}  // namespace nativo::train
