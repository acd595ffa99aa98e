// Prompt files: how a language model is asked for a translation. Data, not code: prompts/translate/
// holds ours, [translate.llm] prompt names another. Format: docs/llm-translator.md.
// Rule: what the templates see is text to them; a template can reach nothing else.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_format.h"
#include "translate/engine.h"

namespace nativo::translate {

/// What a question is made of.
struct PromptInput {
  std::string_view text;
  const Context* context = nullptr;  ///< null = a text by itself
  std::string_view tag;              ///< the answer stands between <tag> and </tag>
};

/// A parsed prompt file. Immutable.
class Prompt {
 public:
  /// Sections "system" (may be absent), "user" and "repair", and pairs of "example source" and
  /// "example translation". `from` and `to` are ISO 639-1. Throws Error(kData) naming `name` and
  /// line.
  Prompt(std::string_view file, std::string name, std::string from, std::string to);
  ~Prompt();
  Prompt(Prompt&&) noexcept;
  Prompt& operator=(Prompt&&) noexcept;

  /// System message, examples as earlier turns, and the question. Throws Error(kData) naming file
  /// and line when a template fails.
  [[nodiscard]] std::vector<text::ChatMessage> question(const PromptInput& input) const;
  /// What to say about an answer that cannot be used.
  [[nodiscard]] std::string repair(const PromptInput& input, const std::string& problem) const;
  /// SHA-256 of the file.
  [[nodiscard]] const std::string& digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The file at `path`, or ours for the language `to` when it is "".
[[nodiscard]] Prompt load_prompt(const std::string& path, const std::string& from,
                                 const std::string& to);

/// "Italian" for "it"; a code we have no name for stays as it is.
[[nodiscard]] std::string_view language_name(std::string_view code);

}  // namespace nativo::translate
