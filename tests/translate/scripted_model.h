// A chat model for tests that follows the prompts as a good one does, or badly on demand: it
// upper-cases what lies outside protected spans.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "generate/chat_model.h"
#include "text/protected_spans.h"

namespace nativo::translate {

/// The text of our prompts' question.
inline std::string asked_text(std::string_view question) {
  const std::size_t begin = question.rfind("<text>\n") + 7;
  return std::string(question.substr(begin, question.rfind("\n</text>") - begin));
}

inline std::string shouted(std::string text) {
  const auto spans = text::find_spans(text);
  std::size_t next = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    while (next < spans.size() && spans[next].end <= i) ++next;
    const bool protected_here = next < spans.size() && spans[next].begin <= i;
    if (!protected_here && text[i] >= 'a' && text[i] <= 'z') {
      text[i] = static_cast<char>(text[i] - 'a' + 'A');
    }
  }
  return text;
}

inline std::string tagged(const std::string& text) {
  return "<translation>" + text + "</translation>";
}

class ScriptedModel final : public generate::ChatModel {
 public:
  using Answer = std::function<generate::ChatAnswer(const generate::ChatQuestion&)>;

  explicit ScriptedModel(Answer answer = well_behaved) : answer_(std::move(answer)) {}

  static generate::ChatAnswer well_behaved(const generate::ChatQuestion& question) {
    return says(tagged(shouted(asked_text(question.messages.back().content))));
  }
  static generate::ChatAnswer says(std::string text) {
    return {generate::ChatEnd::kStop, std::move(text), {}};
  }

  std::vector<generate::ChatAnswer> ask(
      std::span<const generate::ChatQuestion> questions) override {
    std::vector<generate::ChatAnswer> answers;
    for (const generate::ChatQuestion& question : questions) {
      asked.push_back(question);
      answers.push_back(answer_(question));
    }
    return answers;
  }
  std::string version() const override { return "scripted 1"; }
  generate::ChatUsage usage() const override { return {}; }

  std::vector<generate::ChatQuestion> asked;

 private:
  Answer answer_;
};

}  // namespace nativo::translate
