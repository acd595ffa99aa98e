#include "translate/llm_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/strings.h"
#include "translate/llm_answer.h"

namespace nativo::translate {
namespace {

using generate::ChatAnswer;
using generate::ChatEnd;
using generate::ChatQuestion;

/// Words of a translation take at most so many tokens more than the source has bytes.
constexpr std::int64_t kSpareTokens = 128;

std::size_t count_words(std::string_view text) {
  std::size_t words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!space && !inside) ++words;
    inside = !space;
  }
  return words;
}

std::size_t count_of(std::string_view needle, std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(needle, at)) != std::string_view::npos;) {
    at += needle.size();
    ++count;
  }
  return count;
}

/// Names a part (a glossary's term, say, which nothing in the text shows to be one) that is not in
/// the translation as often as it must be; "" when all are.
std::string lost_part(const Sentence& sentence, std::string_view translation) {
  std::map<std::string_view, std::size_t> wanted;
  for (const Part& part : sentence.parts) {
    ++wanted[std::string_view(sentence.text).substr(part.begin, part.end - part.begin)];
  }
  for (const auto& [bytes, times] : wanted) {
    if (count_of(bytes, translation) < times) {
      return fmt::format("\"{}\" is missing or changed in it", printable(bytes));
    }
  }
  return {};
}

class LlmEngine final : public TranslationEngine {
 public:
  LlmEngine(std::unique_ptr<generate::ChatModel> model, Prompt prompt, std::int64_t max_tokens,
            std::int64_t reasoning_tokens)
      : model_(std::move(model)),
        prompt_(std::move(prompt)),
        max_tokens_(max_tokens),
        reasoning_tokens_(reasoning_tokens) {}

  ~LlmEngine() override { say_usage(); }

  Unit unit() const override { return Unit::kMessage; }
  std::string name() const override { return "llm"; }
  std::string version() const override {
    return fmt::format("{}, prompt {}", model_->version(), prompt_.digest().substr(0, 12));
  }

  std::vector<Translation> translate(std::span<const Sentence> sentences) override {
    std::vector<Translation> results(sentences.size());
    std::vector<ChatQuestion> questions;
    std::vector<std::string> tags;
    for (const Sentence& sentence : sentences) {
      tags.push_back(answer_tag(sentence.text));
      questions.push_back(question(sentence, tags.back()));
    }
    const std::vector<ChatAnswer> answers = model_->ask(questions);

    std::vector<std::size_t> damaged;
    std::vector<ChatQuestion> repairs;
    for (std::size_t i = 0; i < sentences.size(); ++i) {
      std::string problem;
      results[i] = judge(sentences[i], answers[i], tags[i], problem);
      if (problem.empty()) continue;
      damaged.push_back(i);
      ChatQuestion again = std::move(questions[i]);
      again.messages.push_back({"assistant", answers[i].text});
      again.messages.push_back({"user", prompt_.repair(input(sentences[i], tags[i]), problem)});
      repairs.push_back(std::move(again));
    }
    if (repairs.empty()) return results;
    const std::vector<ChatAnswer> second = model_->ask(repairs);
    for (std::size_t i = 0; i < damaged.size(); ++i) {
      const std::size_t at = damaged[i];
      std::string problem;
      results[at] = judge(sentences[at], second[i], tags[at], problem);
    }
    return results;
  }

 private:
  static PromptInput input(const Sentence& sentence, const std::string& tag) {
    return {sentence.text, sentence.context, tag};
  }

  [[nodiscard]] ChatQuestion question(const Sentence& sentence, const std::string& tag) const {
    const std::int64_t tokens = std::min(max_tokens_, std::ssize(sentence.text) + kSpareTokens);
    return {prompt_.question(input(sentence, tag)), tokens + reasoning_tokens_};
  }

  /// `problem` is set when it is worth asking again.
  static Translation judge(const Sentence& sentence, const ChatAnswer& answer,
                           const std::string& tag, std::string& problem) {
    Translation result;
    if (answer.end == ChatEnd::kFailed) {
      result.reason = answer.reason;
      return result;
    }
    if (answer.end != ChatEnd::kStop) {
      result.reason = generate::chat_end_name(answer.end);
      if (!answer.text.empty()) {
        result.reason += ": " + printable(utf8_prefix(trim(answer.text), 120));
      }
      return result;
    }
    Result<std::string> translation = translation_in(sentence.text, answer.text, tag);
    if (!translation) {
      problem = translation.rejection().value;
      result.reason = fmt::format("{}: {}", translation.rejection().rule, problem);
      return result;
    }
    problem = lost_part(sentence, translation.value());
    if (!problem.empty()) {
      result.reason = "protected_span_lost: " + problem;
      return result;
    }
    result.text = std::move(translation.value());
    result.words = count_words(sentence.text);
    result.ok = true;
    return result;
  }

  void say_usage() const {
    const generate::ChatUsage usage = model_->usage();
    if (usage.asked + usage.cached + usage.failed == 0) return;
    log::info(
        "language model: {} questions answered, {} from the cache, {} failed, {} retries; {} "
        "tokens "
        "in, {} out{}",
        usage.asked, usage.cached, usage.failed, usage.retries, usage.prompt_tokens,
        usage.completion_tokens,
        usage.lost_tokens > 0 ? fmt::format(", at most {} lost", usage.lost_tokens) : "");
  }

  std::unique_ptr<generate::ChatModel> model_;
  Prompt prompt_;
  std::int64_t max_tokens_;
  std::int64_t reasoning_tokens_;
};

}  // namespace

void LlmOptions::visit(config::Visitor& v) {
  chat.visit(v);
  v.path({.name = "prompt", .help = "prompt file; empty = the one that comes with nativo"}, prompt);
}

std::unique_ptr<TranslationEngine> make_llm_engine(std::unique_ptr<generate::ChatModel> model,
                                                   Prompt prompt, std::int64_t max_tokens,
                                                   std::int64_t reasoning_tokens) {
  return std::make_unique<LlmEngine>(std::move(model), std::move(prompt), max_tokens,
                                     reasoning_tokens);
}

std::unique_ptr<TranslationEngine> make_llm_engine(const LlmOptions& options,
                                                   const std::string& from, const std::string& to) {
  Prompt prompt = load_prompt(options.prompt, from, to);
  return make_llm_engine(generate::make_chat_model(options.chat), std::move(prompt),
                         options.chat.max_tokens, options.chat.reasoning_tokens);
}

void check_llm_engine(const LlmOptions& options, const std::string& from, const std::string& to) {
  (void)load_prompt(options.prompt, from, to);
  generate::check_chat_model(options.chat);
}

}  // namespace nativo::translate
