// What servers send for an answer, and what is made of it.
#include "generate/chat_protocol.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "generate/chat_server.h"

namespace nativo::generate {
namespace {

std::string rule_of(const std::string& body) {
  const auto reply = parse_chat_reply(body);
  return reply ? "ok: " + std::string(chat_end_name(reply.value().answer.end))
               : reply.rejection().rule;
}

TEST(ChatRequestBody, SaysWhatWasAskedAndNothingElse) {
  ChatModelOptions options;
  options.model = "m";
  const ChatQuestion question{{{"system", "Sì \"x\""}, {"user", "a\nb"}}, 7};
  EXPECT_EQ(chat_request_body(question, options),
            R"({"model":"m","messages":[{"role":"system","content":"Sì \"x\""},)"
            R"({"role":"user","content":"a\nb"}],"temperature":0.0,"seed":1,"max_tokens":7,)"
            R"("stream":false})");
  options.extra_body = R"({"max_tokens": null, "max_completion_tokens": 9, "seed": 3})";
  EXPECT_EQ(chat_request_body({{{"user", "a"}}, 7}, options),
            R"({"model":"m","messages":[{"role":"user","content":"a"}],"temperature":0.0,"seed":3,)"
            R"("stream":false,"max_completion_tokens":9})");
  for (const std::string wrong : {"[]", "{", "3"}) {
    options.extra_body = wrong;
    EXPECT_THROW((void)chat_request_body(question, options), Error) << wrong;
  }
  EXPECT_GE(most_prompt_tokens(question), 7 + 3);
}

TEST(ChatReply, ReadsTheUsualAnswer) {
  const auto reply = parse_chat_reply(completion("perché \"no\"\n", "stop", 12, 34));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply.value().answer.text, "perché \"no\"\n");
  EXPECT_EQ(reply.value().answer.end, ChatEnd::kStop);
  EXPECT_EQ(reply.value().prompt_tokens, 12);
  EXPECT_EQ(reply.value().completion_tokens, 34);
}

TEST(ChatReply, TakesLibertiesThatCannotBeMisunderstood) {
  for (
      const std::string& body : {
          "\xEF\xBB\xBF" + completion("x"),
          " \n" + completion("x") + "\r\n",
          std::string(R"({"choices":[{"message":{"content":"x"}}]})"),
          std::string(
              R"({"choices":[{"message":{"content":"x"},"finish_reason":null}],"usage":null,"error":null})"),
          std::string(
              R"({"choices":[{"message":{"content":"x","refusal":null},"finish_reason":"eos"}]})"),
          std::string(R"({"choices":[{"message":{"content":[{"type":"text","text":"x"}]}}]})"),
          std::string(R"({"choices":[{"message":{"content":"x"}},{"message":{"content":"y"}}]})"),
      }) {
    const auto reply = parse_chat_reply(body);
    ASSERT_TRUE(reply) << body << ": " << reply.rejection().rule;
    EXPECT_EQ(reply.value().answer.text, "x") << body;
  }
}

TEST(ChatReply, KnowsHowAnAnswerEnded) {
  EXPECT_EQ(rule_of(completion("cut o", "length")), "ok: length");
  EXPECT_EQ(rule_of(completion("", "content_filter")), "ok: content_filter");
  EXPECT_EQ(
      rule_of(R"({"choices":[{"message":{"content":null},"finish_reason":"content_filter"}]})"),
      "ok: content_filter");
  EXPECT_EQ(rule_of(R"({"choices":[{"message":{"content":null,"refusal":"I cannot."}}]})"),
            "ok: refusal");
}

TEST(ChatReply, RefusesWhatIsNoAnswer) {
  const std::string whole = completion("some words");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "not_json"},
      {"null", "no_choices"},
      {"[]", "no_choices"},
      {"{}", "no_choices"},
      {R"({"choices":[]})", "no_choices"},
      {R"({"choices":{}})", "no_choices"},
      {R"({"choices":[7]})", "no_text"},
      {R"({"choices":[{"message":null}]})", "no_text"},
      {R"({"choices":[{"message":{"content":7}}]})", "no_text"},
      {R"({"choices":[{"message":{"content":null},"finish_reason":"tool_calls"}]})", "no_text"},
      {R"({"choices":[{"message":{"content":[{"type":"image_url"}]}}]})", "no_text"},
      {"<!DOCTYPE html><html><body>502</body></html>", "html"},
      {"data: {\"choices\":[]}\n\n", "event_stream"},
      {R"({"error":{"message":"overloaded"}})", "error_with_status_200"},
      {whole + whole, "not_json"},
      {"```json\n" + whole + "\n```", "not_json"},
      {R"({"choices":[{"message":{"content":"\ud800"}}]})", "not_json"},
      {std::string(1'000'000, '['), "not_json"},
      {"{\"choices\":[{\"message\":{\"content\":\"\xFF\"}}]}", "not_utf8"},
  };
  for (const auto& [body, rule] : cases) EXPECT_EQ(rule_of(body), rule) << body.substr(0, 80);
  for (std::size_t length = 0; length + 1 < whole.size(); ++length) {
    ASSERT_EQ(rule_of(whole.substr(0, length)), "not_json") << length;
  }
}

TEST(ChatReply, BelievesNoAbsurdUsage) {
  for (const std::string tokens :
       {"-1", "1.5", "\"9\"", "1e99", "18446744073709551615", "{}", "true"}) {
    const auto reply = parse_chat_reply(fmt::format(
        R"({{"choices":[{{"message":{{"content":"x"}}}}],"usage":{{"prompt_tokens":{}}}}})",
        tokens));
    if (tokens == "1e99") {
      EXPECT_TRUE(reply);
      continue;
    }
    ASSERT_TRUE(reply) << tokens;
    EXPECT_EQ(reply.value().prompt_tokens, -1) << tokens;
  }
}

TEST(ChatErrorMessage, FindsTheWords) {
  std::string code;
  EXPECT_EQ(
      chat_error_message(
          R"({"error":{"message":"You\nexceeded","type":"t","code":"insufficient_quota"}})", code),
      "You exceeded");
  EXPECT_EQ(code, "insufficient_quota");
  EXPECT_EQ(chat_error_message(R"({"error":{"message":"m","type":"t","code":null}})", code), "m");
  EXPECT_EQ(code, "t");
  EXPECT_EQ(chat_error_message(R"({"error":"plain"})", code), "plain");
  EXPECT_EQ(chat_error_message(R"({"message":"mistral"})", code), "mistral");
  EXPECT_EQ(chat_error_message("<html>Bad", code), "<html>Bad");
  EXPECT_EQ(chat_error_message("", code), "");
  EXPECT_EQ(chat_error_message("\x1b[2Jx\xFF", code).find('\x1b'), std::string::npos);
  EXPECT_LE(chat_error_message(std::string(100'000, 'x'), code).size(), 300U);
}

}  // namespace
}  // namespace nativo::generate
