#include "translate/prompt_file.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/strings.h"
#include "io/file.h"
#include "text/jinja_interpreter.h"
#include "translate/embedded.h"

namespace nativo::translate {
namespace {

namespace jinja = text::jinja;

constexpr std::string_view kHead = "=== ";
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 20;

constexpr auto kLanguages = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"ar", "Arabic"},     {"bg", "Bulgarian"}, {"ca", "Catalan"},    {"cs", "Czech"},
    {"da", "Danish"},     {"de", "German"},    {"el", "Greek"},      {"en", "English"},
    {"es", "Spanish"},    {"et", "Estonian"},  {"eu", "Basque"},     {"fi", "Finnish"},
    {"fr", "French"},     {"gl", "Galician"},  {"he", "Hebrew"},     {"hi", "Hindi"},
    {"hr", "Croatian"},   {"hu", "Hungarian"}, {"id", "Indonesian"}, {"it", "Italian"},
    {"ja", "Japanese"},   {"ko", "Korean"},    {"lt", "Lithuanian"}, {"lv", "Latvian"},
    {"nl", "Dutch"},      {"no", "Norwegian"}, {"pl", "Polish"},     {"pt", "Portuguese"},
    {"ro", "Romanian"},   {"ru", "Russian"},   {"sk", "Slovak"},     {"sl", "Slovenian"},
    {"sr", "Serbian"},    {"sv", "Swedish"},   {"tr", "Turkish"},    {"uk", "Ukrainian"},
    {"vi", "Vietnamese"}, {"zh", "Chinese"},
});

struct Section {
  std::string name;
  std::string text;
  std::size_t line;  ///< of its head, from 1
};

std::string without_outer_newlines(std::string_view text) {
  while (text.starts_with('\n')) text.remove_prefix(1);
  while (text.ends_with('\n')) text.remove_suffix(1);
  return std::string(text);
}

std::vector<Section> sections_of(std::string_view file) {
  std::vector<Section> sections;
  std::size_t number = 0;
  for (std::string_view line : split(file, '\n')) {
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with(kHead)) {
      sections.push_back({std::string(trim(line.substr(kHead.size()))), {}, number});
    } else if (!sections.empty()) {
      sections.back().text.append(line).append("\n");
    }
  }
  for (Section& section : sections) section.text = without_outer_newlines(section.text);
  return sections;
}

std::string_view formality_name(Formality formality) {
  switch (formality) {
    case Formality::kInformal:
      return "informal";
    case Formality::kFormal:
      return "formal";
    case Formality::kAny:
      break;
  }
  return "any";
}

}  // namespace

struct Prompt::State {
  struct Example {
    std::string source;
    std::string translation;
  };

  std::string name;
  std::string digest;
  std::string from;
  std::string to;
  std::optional<jinja::Template> system;
  std::optional<jinja::Template> user;
  std::optional<jinja::Template> repair;
  std::vector<Example> examples;

  [[noreturn]] void fail(std::size_t line, const std::string& problem) const {
    throw Error(ExitCode::kData, fmt::format("{}:{}: {}", printable(name), line, problem),
                "docs/llm-translator.md describes prompt files");
  }

  void take(Section section) {
    const auto once = [&](std::optional<jinja::Template>& place) {
      if (place) fail(section.line, fmt::format("a second section \"{}\"", section.name));
      // Lines before the template, so that its messages count as the file does.
      place.emplace(section.text, fmt::format("{} (=== {})", name, section.name));
    };
    const bool translated_missing = !examples.empty() && examples.back().translation.empty();
    if (translated_missing && section.name != "example translation") {
      fail(section.line, "the example before it has no \"=== example translation\"");
    }
    if (section.name == "system") {
      once(system);
    } else if (section.name == "user") {
      once(user);
    } else if (section.name == "repair") {
      once(repair);
    } else if (section.name == "example source") {
      if (section.text.empty()) fail(section.line, "an empty example");
      examples.push_back({std::move(section.text), {}});
    } else if (section.name == "example translation") {
      if (!translated_missing) fail(section.line, "no \"=== example source\" before it");
      if (section.text.empty()) fail(section.line, "an empty example");
      examples.back().translation = std::move(section.text);
    } else {
      fail(section.line, fmt::format("unknown section \"{}\"", printable(section.name)));
    }
  }

  [[nodiscard]] std::string render(const jinja::Template& what, const PromptInput& input,
                                   const std::string& problem = {}) const {
    Json before = Json::array();
    Json terms = Json::array();
    const Context none;
    const Context& context = input.context == nullptr ? none : *input.context;
    for (const Turn& turn : context.before) {
      before.push_back(
          {{"role", turn.role}, {"source", turn.source}, {"translation", turn.translation}});
    }
    for (const Term& term : context.terms) {
      terms.push_back({{"source", term.source}, {"target", term.target}});
    }
    const Json variables = {
        {"from", from},
        {"to", to},
        {"from_name", language_name(from)},
        {"to_name", language_name(to)},
        {"text", input.text},
        {"tag", input.tag},
        {"role", context.role},
        {"formality", formality_name(context.formality)},
        {"before", std::move(before)},
        {"terms", std::move(terms)},
        {"problem", problem},
    };
    return what
        .render([&](jinja::Heap& heap) {
          jinja::Variables all;
          for (const auto& [key, value] : variables.items()) {
            all.emplace_back(key, heap.from_json(value, jinja::Heap::kTrusted));
          }
          return all;
        })
        .text.bytes;
  }
};

Prompt::Prompt(std::string_view file, std::string name, std::string from, std::string to)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.name = std::move(name);
  s.digest = sha256_hex(file);
  s.from = std::move(from);
  s.to = std::move(to);
  if (!is_valid_utf8(file)) s.fail(1, "not UTF-8");
  for (Section& section : sections_of(file)) s.take(std::move(section));
  const std::size_t last = split(file, '\n').size();
  if (!s.user) s.fail(last, "no section \"=== user\"");
  if (!s.repair) s.fail(last, "no section \"=== repair\"");
  if (!s.examples.empty() && s.examples.back().translation.empty()) {
    s.fail(last, "the last example has no \"=== example translation\"");
  }
}

Prompt::~Prompt() = default;
Prompt::Prompt(Prompt&&) noexcept = default;
Prompt& Prompt::operator=(Prompt&&) noexcept = default;

std::vector<text::ChatMessage> Prompt::question(const PromptInput& input) const {
  const State& s = *state_;
  std::vector<text::ChatMessage> messages;
  if (s.system) messages.push_back({"system", s.render(*s.system, input)});
  for (const State::Example& example : s.examples) {
    messages.push_back({"user", s.render(*s.user, {example.source, nullptr, input.tag})});
    messages.push_back(
        {"assistant", fmt::format("<{0}>{1}</{0}>", input.tag, example.translation)});
  }
  messages.push_back({"user", s.render(*s.user, input)});
  return messages;
}

std::string Prompt::repair(const PromptInput& input, const std::string& problem) const {
  return state_->render(*state_->repair, input, problem);
}

const std::string& Prompt::digest() const { return state_->digest; }

Prompt load_prompt(const std::string& path, const std::string& from, const std::string& to) {
  if (!path.empty()) return {io::read_file(path, kMostBytes), path, from, to};
  if (to == "it") return {embedded::italian_prompt(), "prompts/translate/it.prompt", from, to};
  return {embedded::default_prompt(), "prompts/translate/default.prompt", from, to};
}

std::string_view language_name(std::string_view code) {
  for (const auto& [known, name] : kLanguages) {
    if (known == code) return name;
  }
  return code;
}

}  // namespace nativo::translate
