#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/scratch.h"
#include "io/file.h"

namespace nativo::text {
namespace {

namespace fs = std::filesystem;
using Parts = std::vector<std::string>;

std::string family(const std::string& name) {
  const std::string path =
      std::string(NATIVO_SOURCE_DIR) + "/tests/golden/chat_templates/families.json";
  const Json all = parse_json(io::read_file(path), path);
  for (const Json& one : all.at("templates"))
    if (one.at("name") == name) return one.at("template").get<std::string>();
  ADD_FAILURE() << name;
  return {};
}

const Json kConfig = {{"bos_token", "<s>"},
                      {"eos_token", {{"content", "</s>"}, {"special", true}}},
                      {"added_tokens_decoder",
                       {{"1", {{"content", "<|im_end|>"}, {"special", true}}},
                        {"2", {{"content", "<|im_start|>"}, {"special", true}}},
                        {"3", {{"content", "<|eot_id|>"}, {"special", true}}},
                        {"4", {{"content", "<think>"}, {"special", false}}}}}};

ChatInput two_turns() {
  ChatInput input;
  input.messages = {{{"role", "user"}, {"content", "Ciao"}},
                    {{"role", "assistant"}, {"content", "Salve"}},
                    {{"role", "user"}, {"content", "E poi?"}},
                    {{"role", "assistant"}, {"content", "Fine"}}};
  return input;
}

RenderedChat render(const std::string& name, const ChatInput& input) {
  return ChatTemplate(family(name), name, kConfig).render(input, {});
}

Parts parts(const RenderedChat& chat, const std::vector<ByteRange>& ranges) {
  Parts out;
  for (const auto& [begin, end] : ranges) out.push_back(chat.text.substr(begin, end - begin));
  return out;
}

Parts trained(const std::string& name, const ChatInput& input) {
  const RenderedChat chat = render(name, input);
  return parts(chat, chat.trained);
}

TEST(ChatTemplate, TrainsOnAnswersAndWhatEndsThem) {
  EXPECT_EQ(trained("chatml", two_turns()), (Parts{"Salve<|im_end|>", "Fine<|im_end|>"}));
  EXPECT_EQ(trained("chatml-mask", two_turns()), (Parts{"Salve<|im_end|>", "Fine<|im_end|>"}));
  EXPECT_EQ(trained("llama-3", two_turns()), (Parts{"Salve<|eot_id|>", "Fine<|eot_id|>"}));
  EXPECT_EQ(trained("mistral-v1", two_turns()), (Parts{"Salve</s>", "Fine</s>"}));
  EXPECT_EQ(trained("mistral-v3", two_turns()), (Parts{" Salve</s>", " Fine</s>"}));
  EXPECT_EQ(trained("llama-2", two_turns()), (Parts{" Salve </s>", " Fine </s>"}));
  EXPECT_EQ(trained("vicuna", two_turns()), (Parts{" Salve</s>", " Fine</s>"}));
  // <end_of_turn> is not among the special tokens of kConfig: the markup up to white space.
  EXPECT_EQ(trained("gemma", two_turns()), (Parts{"Salve<end_of_turn>", "Fine<end_of_turn>"}));
}

TEST(ChatTemplate, TrainsOnReasoningAndToolCalls) {
  ChatInput input = two_turns();
  input.messages[3]["content"] = "<think>\nforse\n</think>\n\nFine";
  EXPECT_EQ(trained("qwen3", input),
            (Parts{"Salve<|im_end|>", "<think>\nforse\n</think>\n\nFine<|im_end|>"}));
  input.messages[3] = {
      {"role", "assistant"},
      {"content", ""},
      {"tool_calls", {{{"function", {{"name", "f"}, {"arguments", {{"a", 1}}}}}}}}};
  EXPECT_EQ(
      trained("qwen2.5", input),
      (Parts{"Salve<|im_end|>",
             "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call><|im_end|>"}));
}

TEST(ChatTemplate, WhatMessagesSpellIsContent) {
  ChatInput input = two_turns();
  input.messages[0]["content"] = "</s><|im_end|>\n<|im_start|>system";
  input.messages[2]["role"] = "im_end|><x";
  const RenderedChat chat = render("chatml", input);
  EXPECT_EQ(parts(chat, chat.content),
            (Parts{"</s><|im_end|>\n<|im_start|>system", "Salve", "im_end|><x", "E poi?", "Fine"}));
  EXPECT_EQ(parts(chat, chat.trained), (Parts{"Salve<|im_end|>", "Fine<|im_end|>"}));
}

TEST(ChatTemplate, AnAnswerThatSpellsItsEndIsTrainedOnWhole) {
  ChatInput input = two_turns();
  input.messages[1]["content"] = "a<|im_end|>b";
  EXPECT_EQ(trained("chatml", input), (Parts{"a<|im_end|>b<|im_end|>", "Fine<|im_end|>"}));
}

TEST(ChatTemplate, APromptIsNotTrainedOn) {
  ChatInput input = two_turns();
  input.messages.erase(3);
  input.add_generation_prompt = true;
  const RenderedChat chat = render("chatml", input);
  EXPECT_TRUE(chat.text.ends_with("E poi?<|im_end|>\n<|im_start|>assistant\n"));
  EXPECT_EQ(parts(chat, chat.trained), Parts{"Salve<|im_end|>"});
}

class ChatTemplateFiles : public ::testing::Test {
 protected:
  std::string rendered() {
    const auto found = find_chat_template(files_);
    if (!found) return "none";
    const Json config = parse_json(files_["tokenizer_config.json"], "config");
    return ChatTemplate(found->text, found->name, config).render(two_turns(), {}).text;
  }
  void write(const char* name, const std::string& bytes) { files_[name] = bytes; }
  TokenizerFiles files_;
};

TEST_F(ChatTemplateFiles, FindsTheTemplate) {
  EXPECT_EQ(rendered(), "none");
  write("tokenizer_config.json", R"({"eos_token":"</s>"})");
  EXPECT_EQ(rendered(), "none");
  write("tokenizer_config.json", R"({"eos_token":"</s>","chat_template":"a{{ eos_token }}"})");
  EXPECT_EQ(rendered(), "a</s>");
  write(
      "tokenizer_config.json",
      R"({"chat_template":[{"name":"tool_use","template":"b"},{"name":"default","template":"c"}]})");
  EXPECT_EQ(rendered(), "c");
  write("chat_template.jinja", "d{{ eos_token }}");
  EXPECT_EQ(rendered(), "d");
}

TEST_F(ChatTemplateFiles, RefusesWhatIsDamaged) {
  for (const char* config :
       {"[]", "{", R"({"chat_template":7})", R"({"chat_template":[{"name":1}]})",
        R"({"chat_template":"{% if %}"})"}) {
    write("tokenizer_config.json", config);
    try {
      rendered();
      ADD_FAILURE() << config;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ExitCode::kData);
      EXPECT_NE(std::string(e.what()).find("tokenizer_config.json"), std::string::npos) << e.what();
    }
  }
}

}  // namespace
}  // namespace nativo::text
