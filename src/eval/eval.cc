#include "eval/eval.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/strings.h"
#include "eval/task.h"
#include "generate/text.h"
#include "text/chat_format.h"

namespace nativo::eval {
namespace {

std::vector<Task> load_tasks(const EvalOptions& options) {
  std::vector<Task> tasks;
  for (const auto& [name, task] : options.task) tasks.push_back(load_task(name, task));
  return tasks;
}

}  // namespace

EvalResult run_eval(generate::LanguageModel& model, const EvalOptions& options, std::string label) {
  EvalResult result{.model = std::move(label), .tasks = {}};
  for (const Task& task : load_tasks(options)) {
    result.tasks.push_back(run_task(model, task));
    const TaskResult& done = result.tasks.back();
    if (done.truncated > 0) {
      log::warn(
          "eval {}: {} of {} prompts are longer than the model's context of {} tokens and "
          "lost their beginning",
          printable(task.name), done.truncated, done.items(), model.context_length());
    }
  }
  return result;
}

Json fingerprints(const EvalOptions& options) {
  Json json = Json::object();
  for (const Task& task : load_tasks(options)) json[task.name] = task.fingerprint();
  return json;
}

std::vector<std::string> answer_prompts(generate::LanguageModel& model,
                                        const std::vector<std::string>& prompts,
                                        const generate::SamplerOptions& sampler) {
  Progress progress("answers", prompts.size(), "prompts");
  std::vector<std::string> answers;
  const text::ChatFormat format(model.tokenizer());
  const generate::TextOptions options{
      .sampler = sampler, .stop_strings = {}, .stop_tokens = format.stop_tokens()};
  for (const std::string& prompt : prompts) {
    stop_if_interrupted();
    const auto ids = format.prompt({{"user", prompt}});
    if (std::ssize(ids) >= model.context_length()) {
      throw Error(
          ExitCode::kData,
          fmt::format("the prompt \"{}...\" of {} tokens does not fit the model's context "
                      "of {}",
                      printable(utf8_prefix(prompt, 40)), ids.size(), model.context_length()),
          "shorten it");
    }
    answers.emplace_back(trim(generate::generate_text(model, ids, options).text));
    progress.advance();
  }
  return answers;
}

Json dialogues(const std::vector<std::string>& prompts, const std::vector<std::string>& base,
               const std::vector<std::string>& tuned) {
  NATIVO_CHECK(base.size() == prompts.size() && tuned.size() == prompts.size(),
               "one answer a prompt and model");
  Json list = Json::array();
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    list.push_back({{"prompt", prompts[i]}, {"base", base[i]}, {"tuned", tuned[i]}});
  }
  return {{"dialogues", std::move(list)}};
}

}  // namespace nativo::eval
