#include "text/hf_post_processor.h"

#include <fmt/format.h>

#include <limits>
#include <string>

#include "base/strings.h"
#include "text/hf_json.h"

namespace nativo::text {
namespace {

constexpr int kMaxDepth = 8;
constexpr std::size_t kMostTokens = 64;

TokenId id_of(simdjson::dom::element value, const std::string& path) {
  std::uint64_t id = 0;
  if (value.get_uint64().get(id) != simdjson::SUCCESS ||
      id > static_cast<std::uint64_t>(std::numeric_limits<TokenId>::max())) {
    refuse_json(path, "is not an id");
  }
  return static_cast<TokenId>(id);
}

/// ["[SEP]", 102]
TokenId id_of_pair(JsonObject& object, std::string_view key) {
  const simdjson::dom::array pair = object.array(key);
  if (pair.size() != 2) refuse_json(object.path_of(key), "is not a token and its id");
  return id_of(pair.at(1).value(), object.path_of(key));
}

/// "special_tokens" of TemplateProcessing, by name.
std::vector<TokenId> template_token(JsonObject& tokens, std::string_view name) {
  JsonObject token(tokens.require(name), tokens.path_of(name));
  std::vector<TokenId> ids;
  for (const simdjson::dom::element id : token.array("ids")) {
    if (ids.size() == kMostTokens) refuse_json(token.path_of("ids"), "is too long");
    ids.push_back(id_of(id, token.path_of("ids")));
  }
  return ids;
}

HfPostProcessor read_template(JsonObject& object) {
  HfPostProcessor around;
  bool behind_text = false;
  object.ignore("pair");
  const auto declared = object.find("special_tokens");
  std::size_t index = 0;
  for (const simdjson::dom::element part : object.array("single")) {
    const std::string path = fmt::format("{}[{}]", object.path_of("single"), index++);
    if (index > kMostTokens) refuse_json(path, "is one too many");
    JsonObject entry(part, path);
    if (const auto text = entry.find("Sequence")) {
      JsonObject sequence(*text, entry.path_of("Sequence"));
      if (sequence.text("id") != "A" || behind_text) refuse_json(path, "is not the one text");
      behind_text = true;
    } else {
      JsonObject special(entry.require("SpecialToken"), entry.path_of("SpecialToken"));
      if (!declared) refuse_json(object.path_of("special_tokens"), "is missing");
      JsonObject tokens(*declared, object.path_of("special_tokens"));
      const std::vector<TokenId> ids = template_token(tokens, special.text("id"));
      auto& side = behind_text ? around.after : around.before;
      side.insert(side.end(), ids.begin(), ids.end());
    }
    entry.done();
  }
  if (!behind_text) refuse_json(object.path_of("single"), "has no place for the text");
  return around;
}

HfPostProcessor read(simdjson::dom::element json, const std::string& path, int depth) {
  if (depth > kMaxDepth) refuse_json(path, "nests too deep");
  JsonObject object(json, path);
  const std::string_view type = object.text("type");
  HfPostProcessor around;
  if (type == "TemplateProcessing") {
    around = read_template(object);
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    around.before = {id_of_pair(object, "cls")};
    around.after = {id_of_pair(object, "sep")};
    object.ignore("trim_offsets");
    object.ignore("add_prefix_space");
  } else if (type == "ByteLevel") {
    object.ignore("add_prefix_space");
    object.ignore("trim_offsets");
    object.ignore("use_regex");
  } else if (type == "Sequence") {
    std::size_t index = 0;
    for (const simdjson::dom::element child : object.array("processors")) {
      const HfPostProcessor inner =
          read(child, fmt::format("{}.processors[{}]", path, index++), depth + 1);
      around.before.insert(around.before.begin(), inner.before.begin(), inner.before.end());
      around.after.insert(around.after.end(), inner.after.begin(), inner.after.end());
      if (around.before.size() + around.after.size() > 4 * kMostTokens) {
        refuse_json(path, "adds too many tokens");
      }
    }
  } else {
    refuse_json(object.path_of("type"), fmt::format("\"{}\" is not supported", printable(type)));
  }
  object.done();
  return around;
}

}  // namespace

HfPostProcessor read_hf_post_processor(simdjson::dom::element json, std::string_view path) {
  return read(json, std::string(path), 0);
}

}  // namespace nativo::text
