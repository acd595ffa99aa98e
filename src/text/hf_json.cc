#include "text/hf_json.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::text {
namespace {

constexpr std::size_t kMaxMembers = 64;

}  // namespace

void refuse_json(std::string_view path, std::string_view what) {
  throw Error(ExitCode::kData, fmt::format("{}: {}", path, what),
              "nativo reads what GPT-2, Llama, Qwen, Mistral, BERT and XLM-R use; anything else "
              "would give wrong ids");
}

std::string_view json_text(simdjson::dom::element value, std::string_view path) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS) refuse_json(path, "is not a text");
  return text;
}

JsonObject::JsonObject(simdjson::dom::element value, std::string path) : path_(std::move(path)) {
  simdjson::dom::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) refuse_json(path_, "is not an object");
  for (const auto& field : object) {
    if (members_.size() == kMaxMembers) refuse_json(path_, "has too many keys");
    for (const Member& member : members_) {
      if (member.key == field.key) refuse_json(path_of(field.key), "stands twice");
    }
    members_.push_back({field.key, field.value});
  }
}

std::string JsonObject::path_of(std::string_view key) const {
  return path_.empty() ? printable(key) : fmt::format("{}.{}", path_, printable(key));
}

std::optional<simdjson::dom::element> JsonObject::find(std::string_view key) {
  for (Member& member : members_) {
    if (member.key != key) continue;
    member.used = true;
    if (member.value.is_null()) return std::nullopt;
    return member.value;
  }
  return std::nullopt;
}

simdjson::dom::element JsonObject::require(std::string_view key) {
  const auto value = find(key);
  if (!value) refuse_json(path_of(key), "is missing");
  return *value;
}

std::string_view JsonObject::text(std::string_view key) {
  return json_text(require(key), path_of(key));
}

std::string_view JsonObject::text_or(std::string_view key, std::string_view absent) {
  const auto value = find(key);
  return value ? json_text(*value, path_of(key)) : absent;
}

bool JsonObject::flag_or(std::string_view key, bool absent) {
  const auto value = find(key);
  if (!value) return absent;
  bool flag = false;
  if (value->get_bool().get(flag) != simdjson::SUCCESS) {
    refuse_json(path_of(key), "is neither true nor false");
  }
  return flag;
}

std::uint64_t JsonObject::count(std::string_view key) {
  std::uint64_t number = 0;
  if (require(key).get_uint64().get(number) != simdjson::SUCCESS) {
    refuse_json(path_of(key), "is not a whole number from 0 on");
  }
  return number;
}

simdjson::dom::array JsonObject::array(std::string_view key) {
  simdjson::dom::array values;
  if (require(key).get_array().get(values) != simdjson::SUCCESS) {
    refuse_json(path_of(key), "is not a list");
  }
  return values;
}

void JsonObject::done() const {
  for (const Member& member : members_) {
    if (!member.used) refuse_json(path_of(member.key), "is not known");
  }
}

}  // namespace nativo::text
