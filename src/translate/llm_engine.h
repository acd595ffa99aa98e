// Translation by a language model, behind a server or in this process: whole messages with the
// conversation before them, a prompt from a file, and no trust in what comes back.
#pragma once

#include <memory>
#include <string>

#include "config/visitor.h"
#include "generate/chat_model.h"
#include "translate/engine.h"
#include "translate/prompt_file.h"

namespace nativo::translate {

/// [translate.llm]
struct LlmOptions {
  generate::ChatModelOptions chat;
  std::string prompt;  ///< a prompt file; "" = ours
  void visit(config::Visitor& v);
};

/// Asks `model`. An answer that breaks the contract (see llm_answer.h) is answered once with what
/// is wrong with it; when the second is no better, the translation is not ok and says why.
[[nodiscard]] std::unique_ptr<TranslationEngine> make_llm_engine(
    std::unique_ptr<generate::ChatModel> model, Prompt prompt, std::int64_t max_tokens,
    std::int64_t reasoning_tokens);

/// From options. Throws what make_chat_model and load_prompt throw.
[[nodiscard]] std::unique_ptr<TranslationEngine> make_llm_engine(const LlmOptions& options,
                                                                 const std::string& from,
                                                                 const std::string& to);

/// Throws what make_llm_engine would, as far as can be known without a model or a server.
void check_llm_engine(const LlmOptions& options, const std::string& from, const std::string& to);

}  // namespace nativo::translate
