#include "generate/chat_model.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/error.h"
#include "base/strings.h"
#include "generate/chat_client.h"
#include "generate/local_chat.h"

namespace nativo::generate {

std::string_view chat_end_name(ChatEnd end) {
  switch (end) {
    case ChatEnd::kStop:
      return "stop";
    case ChatEnd::kLength:
      return "length";
    case ChatEnd::kContentFilter:
      return "content_filter";
    case ChatEnd::kRefusal:
      return "refusal";
    case ChatEnd::kFailed:
      break;
  }
  return "failed";
}

void ChatModelOptions::visit(config::Visitor& v) {
  v.path({.name = "model_dir",
          .help = "a model to run here (Hugging Face directory); empty = ask the server at url"},
         model_dir);
  device.visit(v);
  v.value({.name = "url",
           .help = "base URL of an OpenAI-compatible server, e.g. http://127.0.0.1:8000/v1"},
          url);
  v.value({.name = "model", .help = "the server's name for the model"}, model);
  v.value({.name = "api_key_env",
           .help = "environment variable that holds the server's key; empty = no key"},
          api_key_env);
  v.value({.name = "concurrency", .help = "questions on their way at once", .min = 1, .max = 1024},
          concurrency);
  v.value({.name = "requests_per_minute", .help = "rate limit; 0 = none", .min = 0, .max = 1e9},
          requests_per_minute);
  v.value({.name = "tokens_per_minute",
           .help = "rate limit, questions and answers together; 0 = none",
           .min = 0,
           .max = 1e12},
          tokens_per_minute);
  v.value({.name = "max_retries",
           .help = "times that a question is asked again after a timeout, 429, 5xx or a damaged "
                   "answer",
           .min = 0,
           .max = 100},
          max_retries);
  v.value({.name = "retry_wait",
           .help = "seconds before the first time, doubled for each further one, half of it by "
                   "chance; a Retry-After is honoured beside it",
           .min = 0.001,
           .max = 60},
          retry_wait);
  v.value({.name = "timeout", .help = "seconds for an answer", .min = 0.1, .max = 1e5}, timeout);
  v.value(
      {.name = "budget_tokens",
       .help = "tokens that all answers in the cache folder may have cost together; the run stops "
               "before it spends more; 0 = no limit",
       .min = 0,
       .max = 1e15},
      budget_tokens);
  v.value({.name = "temperature", .help = "0 = the most likely words", .min = 0, .max = 2},
          temperature);
  v.value({.name = "seed", .help = "sent with every question", .min = 0}, seed);
  v.value({.name = "max_tokens", .help = "most tokens of an answer", .min = 1, .max = 1e6},
          max_tokens);
  v.value({.name = "reasoning_tokens",
           .help = "room beside max_tokens for a model that thinks before it answers",
           .min = 0,
           .max = 1e6},
          reasoning_tokens);
  v.value({.name = "extra_body",
           .help = "JSON object merged into every request, null removes a key, e.g. "
                   "'{\"reasoning_effort\": \"low\"}'"},
          extra_body);
  v.path({.name = "cache",
          .help = "folder of the answers, so that none is paid for twice; may be shared by runs"},
         cache);
}

void check_chat_model(const ChatModelOptions& options) {
  if (options.model_dir.empty() == options.url.empty()) {
    throw Error(
        ExitCode::kConfig,
        options.url.empty() ? "no language model is named" : "two language models are named",
        "set either translate.llm.url (and translate.llm.model), or translate.llm.model_dir");
  }
  static_cast<void>(options.device.numbers("translate.llm."));
  if (options.model_dir.empty()) {
    check_chat_client(options);
  } else if (!std::filesystem::is_directory(options.model_dir)) {
    throw Error(ExitCode::kMissingInput,
                fmt::format("{}: no such folder (model_dir)", printable(options.model_dir)),
                "name the folder of a Hugging Face model");
  }
}

std::unique_ptr<ChatModel> make_chat_model(const ChatModelOptions& options) {
  check_chat_model(options);
  if (!options.model_dir.empty()) return make_local_chat(options);
  return std::make_unique<ChatClient>(options);
}

}  // namespace nativo::generate
