// A conversation with a model in the terminal, or line by line through a pipe.
// Not here: the HTTP API. Rule: nothing the model says reaches the terminal unless it is printable.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>

#include "config/visitor.h"
#include "generate/language_model.h"
#include "generate/sampler.h"

namespace nativo::serve {

struct ChatOptions {
  std::string system;  ///< system message; "" = none
  generate::SamplerOptions sampler;
  void visit(config::Visitor& v);
};

/// Where questions come from and answers go. The functions let Ctrl-C stop an answer but not the
/// program; each may be empty.
struct ChatConsole {
  std::istream& in;
  std::ostream& out;
  bool interactive = false;              ///< shows a greeting and a prompt
  std::function<void()> begin_answer{};  ///< from now on Ctrl-C means "stop answering"
  std::function<bool()> stop_answer{};   ///< true once it came
  std::function<void()> end_answer{};    ///< Ctrl-C ends the program again
};

/// std::cin and std::cout; interactive when both are terminals. At the prompt Ctrl-C has its
/// default action and ends the program.
[[nodiscard]] ChatConsole terminal_console();

/// Answers each line of the console until /exit or the end of input. Lines that begin with "/" are
/// commands (/help lists them). The history is kept within the model's context: the oldest turns
/// are forgotten first, and that is said. A question too long for the context is refused, and the
/// chat goes on. Answer n of a chat is drawn with seed + n. Throws Error(kIo) when the output is
/// gone.
void run_chat(generate::LanguageModel& model, const ChatOptions& options,
              const ChatConsole& console);

}  // namespace nativo::serve
