#include "generate/answer_cache.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/strings.h"

namespace nativo::generate {
namespace {

constexpr std::string_view kLostKey = "lost";
constexpr std::uint64_t kMostTokens = std::uint64_t{1} << 40;  // of one answer; more is no count

std::optional<ChatEnd> end_named(std::string_view name) {
  for (const ChatEnd end :
       {ChatEnd::kStop, ChatEnd::kLength, ChatEnd::kContentFilter, ChatEnd::kRefusal}) {
    if (chat_end_name(end) == name) return end;
  }
  return std::nullopt;
}

/// The tokens that an entry says, 0 for one that this version did not write.
std::int64_t tokens_of(std::string_view value) {
  const Json json = Json::parse(value, nullptr, false);
  if (!json.is_object()) return 0;
  const auto tokens = json.find("tokens");
  if (tokens == json.end() || !tokens->is_number_unsigned()) return 0;
  return static_cast<std::int64_t>(std::min(tokens->get<std::uint64_t>(), kMostTokens));
}

std::optional<ChatAnswer> answer_of(std::string_view value) {
  const Json json = Json::parse(value, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto end = json.find("end");
  const auto text = json.find("text");
  if (end == json.end() || !end->is_string() || text == json.end() || !text->is_string()) {
    return std::nullopt;
  }
  const std::optional<ChatEnd> known = end_named(end->get<std::string>());
  if (!known) return std::nullopt;
  return ChatAnswer{*known, text->get<std::string>(), {}};
}

}  // namespace

AnswerCache::AnswerCache(const std::string& folder, io::Disk& disk)
    : log_(
          folder,
          [this](std::string_view /*key*/, std::string_view value) { spent_ += tokens_of(value); },
          disk) {
  if (log_.damaged() > 0) {
    log::warn("{}: {} damaged lines are passed over; their questions are asked again",
              printable(folder), log_.damaged());
  }
}

std::string AnswerCache::key(std::string_view url, std::string_view body) {
  return xxh128_hex(fmt::format("{}\n{}", url, body));
}

std::optional<ChatAnswer> AnswerCache::find(const std::string& key) const {
  const std::optional<std::string> value = log_.find(key);
  return value ? answer_of(*value) : std::nullopt;
}

void AnswerCache::put(const std::string& key, const ChatAnswer& answer, std::int64_t tokens) {
  Json json = Json::object();
  json["end"] = chat_end_name(answer.end);
  json["tokens"] = tokens;
  json["text"] = answer.text;
  log_.put(key, dump_json(json));
  spent_ += tokens;
}

void AnswerCache::lose(std::int64_t most_tokens) {
  log_.put(kLostKey, dump_json({{"tokens", most_tokens}}));
  spent_ += most_tokens;
}

}  // namespace nativo::generate
