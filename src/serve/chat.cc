#include "serve/chat.h"

#include <fmt/format.h>
#include <unistd.h>

#include <ctime>
#include <iostream>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/strings.h"
#include "generate/text.h"
#include "serve/settings.h"
#include "text/chat_format.h"

namespace nativo::serve {
namespace {

constexpr std::string_view kPrompt = "> ";

/// Some templates tell the model what day it is.
std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  return local;
}

/// One conversation: its history, its settings, and what each line does to them.
class Chat {
 public:
  Chat(generate::LanguageModel& model, const ChatOptions& options, const ChatConsole& console)
      : model_(model),
        options_(options),
        console_(console),
        format_(model.tokenizer(), local_time()) {}

  void run() {
    if (console_.interactive) say("Type a question; /help lists the commands, /exit leaves.\n");
    std::string line;
    while (read(line)) {
      const std::string_view text = trim(line);
      if (text.empty()) continue;
      if (text.front() == '/') {
        if (!command(text.substr(1))) return;
      } else if (!is_valid_utf8(text)) {
        say("That line is not UTF-8 text.\n");
      } else {
        ask(std::string(text));
      }
    }
    if (console_.interactive) say("\n");
  }

 private:
  bool read(std::string& line) {
    if (console_.interactive) say(kPrompt);
    return static_cast<bool>(std::getline(console_.in, line));
  }

  void say(std::string_view text) {
    console_.out << text << std::flush;
    if (!console_.out) throw Error(ExitCode::kIo, "the output was closed");
  }

  /// False when the chat is over. `text` is the line without its "/".
  bool command(std::string_view text) {
    const std::size_t space = text.find(' ');
    const std::string_view name = text.substr(0, space);
    const std::string_view rest =
        space == std::string_view::npos ? std::string_view() : trim(text.substr(space));
    if (name == "exit" || name == "quit") return false;
    if (name == "help") {
      help();
    } else if (name == "reset") {
      history_.clear();
      say("The conversation starts anew.\n");
    } else if (name == "system") {
      set_system(rest);
    } else if (has_option(name) && !rest.empty()) {
      const std::string complaint = set_option(options_.sampler, name, rest);
      say(complaint.empty() ? fmt::format("{} is now {}.\n", name, printable(rest))
                            : complaint + ".\n");
    } else if (has_option(name)) {
      say(list_options(options_.sampler));
    } else {
      say(fmt::format("There is no command /{}; /help lists them.\n", printable(name)));
    }
    return true;
  }

  void help() {
    say("  /help                        this list\n"
        "  /reset                       forget the conversation\n"
        "  /system TEXT                 how the model shall behave; without TEXT: no more\n"
        "  /exit                        leave (also /quit, or the end of input)\n"
        "Settings, with their values now; change one with /NAME VALUE:\n" +
        list_options(options_.sampler));
  }

  void set_system(std::string_view text) {
    if (!is_valid_utf8(text)) {
      say("That line is not UTF-8 text.\n");
      return;
    }
    options_.system = text;
    history_.clear();
    say(text.empty() ? "No system message; the conversation starts anew.\n"
                     : "Understood; the conversation starts anew.\n");
  }

  [[nodiscard]] std::vector<text::TokenId> prompt() const {
    std::vector<text::ChatMessage> messages;
    if (!options_.system.empty()) messages.push_back({"system", options_.system});
    messages.insert(messages.end(), history_.begin(), history_.end());
    return format_.prompt(messages);
  }

  /// The prompt for the history, whose last message is the question. Forgets the oldest turns until
  /// an answer has room; empty when even the question alone has none.
  std::vector<text::TokenId> fitting_prompt() {
    const std::int64_t window = model_.context_length();
    const std::int64_t reserve = std::min(options_.sampler.max_tokens, window / 4);
    std::size_t forgotten = 0;
    std::vector<text::TokenId> ids = prompt();
    while (std::ssize(ids) + std::max<std::int64_t>(reserve, 1) > window && history_.size() > 1) {
      history_.erase(history_.begin(), history_.begin() + 2);
      ++forgotten;
      ids = prompt();
    }
    if (forgotten > 0) {
      say(fmt::format("(the context of {} tokens is full: {} forgotten)\n", window,
                      forgotten == 1 ? "the oldest turn is"
                                     : fmt::format("the {} oldest turns are", forgotten)));
    }
    if (std::ssize(ids) >= window) {
      say(fmt::format("That is too long: {} tokens, and the model's context holds {}.\n",
                      ids.size(), window));
      return {};
    }
    return ids;
  }

  void ask(std::string question) {
    history_.push_back({"user", std::move(question)});
    const std::vector<text::TokenId> ids = fitting_prompt();
    if (ids.empty()) {
      history_.pop_back();
      return;
    }
    generate::TextOptions options{
        .sampler = options_.sampler, .stop_strings = {}, .stop_tokens = format_.stop_tokens()};
    options.sampler.seed += answers_++;
    std::string answer = stream(ids, options);
    // An empty turn would teach the model to be silent.
    if (trim(answer).empty()) {
      history_.pop_back();
    } else {
      history_.push_back({"assistant", std::move(answer)});
    }
  }

  /// Shows the answer while it is made and returns it, without white space around it.
  std::string stream(const std::vector<text::TokenId>& ids, const generate::TextOptions& options) {
    if (console_.begin_answer) console_.begin_answer();
    const auto stopped = [&] { return console_.stop_answer && console_.stop_answer(); };
    generate::TextResult result;
    try {
      bool begun = false;
      result = generate::generate_text(model_, ids, options, [&](std::string_view delta) {
        if (!begun) {
          while (!delta.empty() && trim(delta.substr(0, 1)).empty()) delta.remove_prefix(1);
        }
        begun = begun || !delta.empty();
        if (!delta.empty()) say(printable(delta));
        return !stopped();
      });
    } catch (...) {
      if (console_.end_answer) console_.end_answer();
      throw;
    }
    const bool interrupted = stopped();
    if (console_.end_answer) console_.end_answer();
    say(interrupted ? " (stopped)\n" : trim(result.text).empty() ? "(no answer)\n" : "\n");
    return std::string(trim(result.text));
  }

  generate::LanguageModel& model_;
  ChatOptions options_;
  const ChatConsole& console_;
  text::ChatFormat format_;
  std::vector<text::ChatMessage> history_;
  std::int64_t answers_ = 0;
};

}  // namespace

void ChatOptions::visit(config::Visitor& v) {
  v.value({.name = "system", .help = "system message: how the model shall behave"}, system);
  v.table({.name = "sampler", .help = "how answers are drawn"}, sampler);
}

ChatConsole terminal_console() {
  return {.in = std::cin,
          .out = std::cout,
          .interactive = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1,
          .begin_answer = install_signal_handlers,
          .stop_answer = interrupted,
          .end_answer = release_signal_handlers};
}

void run_chat(generate::LanguageModel& model, const ChatOptions& options,
              const ChatConsole& console) {
  Chat(model, options, console).run();
}

}  // namespace nativo::serve
