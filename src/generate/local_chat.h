// Chat questions to a model in this process.
#pragma once

#include <memory>

#include "generate/chat_model.h"
#include "generate/language_model.h"

namespace nativo::generate {

/// Asks `model` in its own chat format, one question after the other. A question that does not fit
/// the context is kFailed. Answer i depends on question i and the options alone. `version` names
/// the weights.
[[nodiscard]] std::unique_ptr<ChatModel> make_local_chat(std::unique_ptr<LanguageModel> model,
                                                         const ChatModelOptions& options,
                                                         std::string version);

/// Loads options.model_dir. Errors as load_local_model.
[[nodiscard]] std::unique_ptr<ChatModel> make_local_chat(const ChatModelOptions& options);

}  // namespace nativo::generate
