#include "text/chat_format.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "text/instruct_format.h"

namespace nativo::text {
namespace {

/// tokenizer_config.json with what older and newer writers leave out: the ends of a sequence, and
/// the control tokens, which tell where a turn ends.
Json complete_config(const Tokenizer& tokenizer) {
  const auto file = tokenizer.files().find(kTokenizerConfigFile);
  Json config = file == tokenizer.files().end() ? Json::object()
                                                : parse_json(file->second, kTokenizerConfigFile);
  if (!config.is_object()) config = Json::object();
  const auto name = [&](const char* key, TokenId id) {
    if (id >= 0 && !config.contains(key)) config[key] = tokenizer.piece(id);
  };
  name("bos_token", tokenizer.bos_id());
  name("eos_token", tokenizer.eos_id());
  if (!config.contains("added_tokens_decoder")) {
    Json& tokens = config["added_tokens_decoder"] = Json::object();
    for (TokenId id = 0; id < static_cast<TokenId>(tokenizer.vocab_size()); ++id) {
      if (!tokenizer.is_control(id)) continue;
      tokens[std::to_string(id)] = {{"content", tokenizer.piece(id)}, {"special", true}};
    }
  }
  return config;
}

}  // namespace

std::tm fixed_day() {
  std::tm day{};
  day.tm_year = 124;
  day.tm_mon = 6;
  day.tm_mday = 1;
  day.tm_hour = 12;
  day.tm_wday = 1;
  day.tm_yday = 182;
  return day;
}

ChatFormat::ChatFormat(const Tokenizer& tokenizer, const std::tm& today)
    : tokenizer_(tokenizer), today_(today) {
  const auto own = find_chat_template(tokenizer.files());
  const bool instruct = !own || own->text == kInstructTemplate;
  if (!instruct || tokenizer.is_hugging_face()) {
    template_.emplace(own ? own->text : std::string(kInstructTemplate),
                      own ? own->name : "the instruct template", complete_config(tokenizer));
  }
  find_stop_tokens();
}

ChatTokens ChatFormat::conversation(const std::vector<ChatMessage>& messages) const {
  if (!template_) return encode_instruct(tokenizer_, messages);
  return tokens_of(render(messages, false));
}

std::vector<TokenId> ChatFormat::prompt(const std::vector<ChatMessage>& messages) const {
  if (!template_) return encode_instruct_prompt(tokenizer_, messages);
  return tokens_of(render(messages, true)).ids;
}

RenderedChat ChatFormat::render(const std::vector<ChatMessage>& messages, bool prompt) const {
  ChatInput input;
  for (const ChatMessage& message : messages) {
    input.messages.push_back({{"role", message.role}, {"content", message.content}});
  }
  input.add_generation_prompt = prompt;
  return template_->render(input, today_);
}

ChatTokens ChatFormat::tokens_of(const RenderedChat& chat) const {
  Encoding encoding = tokenizer_.encode_with_offsets(
      chat.text, {.special = {.parse = true, .literal = chat.content}});
  ChatTokens tokens;
  tokens.trained.assign(encoding.ids.size(), 0);
  // Both lists ascend.
  auto range = chat.trained.begin();
  for (std::size_t i = 0; i < encoding.ids.size(); ++i) {
    const auto [begin, end] = encoding.offsets[i];
    while (range != chat.trained.end() && range->second <= begin) ++range;
    if (range == chat.trained.end()) break;
    if (std::max(end, begin + 1) > range->first) tokens.trained[i] = 1;
  }
  tokens.ids = std::move(encoding.ids);
  return tokens;
}

void ChatFormat::find_stop_tokens() {
  if (!template_) {
    for (const char* piece : {"[INST]", "[/INST]"}) {
      if (const TokenId id = tokenizer_.piece_id(piece); id >= 0) stop_tokens_.push_back(id);
    }
    return;
  }
  try {
    const ChatTokens probe = tokens_of(render({{"user", "a"}, {"assistant", "b"}}, false));
    for (std::size_t i = probe.ids.size(); i-- > 0;) {
      if (probe.trained[i] == 0 || !tokenizer_.is_control(probe.ids[i])) continue;
      stop_tokens_.push_back(probe.ids[i]);
      return;
    }
  } catch (const Error&) {
    // A template that refuses this conversation says why when it is given a real one.
  }
}

ChatTokens encode_document(const Tokenizer& tokenizer, std::string_view text) {
  if (tokenizer.eos_id() < 0) {
    throw Error(ExitCode::kData, "the tokenizer has no token that ends a sequence",
                "tokenizer_config.json names one as eos_token");
  }
  ChatTokens tokens;
  if (tokenizer.bos_id() >= 0) tokens.ids.push_back(tokenizer.bos_id());
  const std::size_t given = tokens.ids.size();
  const std::vector<TokenId> ids = tokenizer.encode(text);
  tokens.ids.insert(tokens.ids.end(), ids.begin(), ids.end());
  tokens.ids.push_back(tokenizer.eos_id());
  tokens.trained.assign(tokens.ids.size(), 1);
  std::fill_n(tokens.trained.begin(), given, 0);
  return tokens;
}

}  // namespace nativo::text
