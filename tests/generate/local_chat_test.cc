// A model in this process behind the interface of one behind a server.
#include "generate/local_chat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "generate/fake_language_model.h"

namespace nativo::generate {
namespace {

using testing::HasSubstr;

TEST(LocalChat, AsksInTheModelsOwnFormat) {
  auto owned = std::make_unique<FakeLanguageModel>();
  FakeLanguageModel& model = *owned;
  model.reply = [](const std::string& prompt) {
    return prompt.find("gatto") != std::string::npos ? "Miao, davvero." : "Non lo so.";
  };
  ChatModelOptions options;
  options.temperature = 0.25;
  options.seed = 9;
  const auto chat = make_local_chat(std::move(owned), options, "fake");
  const std::vector<ChatQuestion> questions = {{{{"system", "Parla."}, {"user", "Il gatto?"}}, 50},
                                               {{{"user", "Il cane?"}}, 3}};
  const auto answers = chat->ask(questions);
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[0].end, ChatEnd::kStop);
  EXPECT_EQ(answers[0].text, "Miao, davvero.");
  EXPECT_EQ(answers[1].end, ChatEnd::kLength);
  EXPECT_EQ(model.samplers[0].temperature, 0.25);
  EXPECT_EQ(model.samplers[0].seed, 9);
  EXPECT_EQ(model.samplers[1].max_tokens, 3);
  EXPECT_THAT(model.prompts[0], HasSubstr("Parla."));
  EXPECT_THAT(chat->version(), HasSubstr("fake"));
  EXPECT_EQ(chat->usage().asked, 2);
  EXPECT_GT(chat->usage().prompt_tokens, 0);
  EXPECT_GT(chat->usage().completion_tokens, 3);
}

TEST(LocalChat, AQuestionThatDoesNotFitFailsAlone) {
  const auto chat = make_local_chat(std::make_unique<FakeLanguageModel>(64), {}, "fake");
  const std::vector<ChatQuestion> questions = {{{{"user", std::string(500, 'x')}}, 5},
                                               {{{"user", "Ciao"}}, 30},
                                               {{{"user", "a"}, {"user", "b"}}, 30}};
  const auto answers = chat->ask(questions);
  EXPECT_EQ(answers[0].end, ChatEnd::kFailed);
  EXPECT_THAT(answers[0].reason, HasSubstr("does not fit"));
  EXPECT_EQ(answers[1].end, ChatEnd::kStop);
  EXPECT_EQ(answers[2].end, ChatEnd::kFailed);  // two turns of the user in a row
}

TEST(ChatModel, NeedsOneModelAndNotTwo) {
  ChatModelOptions options;
  EXPECT_THROW((void)make_chat_model(options), Error);
  options.model_dir = "/nowhere";
  EXPECT_THROW((void)make_chat_model(options), Error);
  options.url = "http://127.0.0.1:1/v1";
  EXPECT_THROW((void)make_chat_model(options), Error);
}

}  // namespace
}  // namespace nativo::generate
