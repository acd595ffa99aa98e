#include "translate/chatter.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/strings.h"
#include "text/normalize.h"

namespace nativo::translate {
namespace {

enum class Where { kBegin, kLine, kAnywhere };

/// A phrase, and words of a source that may be translated so. All folded (text::fold_case); the
/// excuses are separated by '|'.
struct Phrase {
  std::string_view text;
  Where where;
  std::string_view excuses;
};

constexpr std::string_view kOfTranslating = "translat|italian|version|tradu|italiano|versione";
constexpr std::string_view kOfRefusing =
    "sorry|apolog|regret|can't|cannot|can not|unable|afraid|dispiace|scus|non posso";
constexpr std::string_view kOfModels =
    "language model| ai |an ai|ai model|artificial|assistant|chatbot|gpt|intelligen|modello "
    "linguistico";

constexpr auto kPhrases = std::to_array<Phrase>({
    {"here is the translation", Where::kAnywhere, kOfTranslating},
    {"here's the translation", Where::kAnywhere, kOfTranslating},
    {"here is the italian", Where::kAnywhere, kOfTranslating},
    {"here's the italian", Where::kAnywhere, kOfTranslating},
    {"here is the text", Where::kBegin, "here is|here's"},
    {"translation:", Where::kLine, kOfTranslating},
    {"translated text:", Where::kLine, kOfTranslating},
    {"italian translation", Where::kBegin, kOfTranslating},
    {"italian:", Where::kLine, kOfTranslating},
    {"sure, here", Where::kBegin, "here is|here's|here are"},
    {"sure! here", Where::kBegin, "here is|here's|here are"},
    {"certainly! here", Where::kBegin, "here is|here's|here are"},
    {"note: the translation", Where::kLine, kOfTranslating},
    {"note: i ", Where::kLine, "note"},
    {"let me know if you", Where::kAnywhere, "let me know|let us know"},
    {"ecco la traduzione", Where::kAnywhere, kOfTranslating},
    {"ecco il testo tradotto", Where::kAnywhere, kOfTranslating},
    {"ecco il testo", Where::kBegin, "here is|here's|this is|text"},
    {"certo, ecco", Where::kBegin, "here is|here's|here are|this is|these are"},
    {"certo! ecco", Where::kBegin, "here is|here's|here are|this is|these are"},
    {"certamente! ecco", Where::kBegin, "here is|here's|here are|this is|these are"},
    {"traduzione:", Where::kLine, kOfTranslating},
    {"traduzione in italiano", Where::kLine, kOfTranslating},
    {"testo tradotto", Where::kLine, kOfTranslating},
    {"in italiano:", Where::kLine, kOfTranslating},
    {"nota: ho ", Where::kLine, "note"},
    {"nota: la traduzione", Where::kLine, kOfTranslating},
    {"nota del traduttore", Where::kAnywhere, kOfTranslating},
    {"fammi sapere se", Where::kAnywhere, "let me know|let us know|tell me"},
    {"i'm sorry, but i", Where::kBegin, kOfRefusing},
    {"i am sorry, but i", Where::kBegin, kOfRefusing},
    {"i can't help with", Where::kAnywhere, kOfRefusing},
    {"i cannot assist", Where::kAnywhere, kOfRefusing},
    {"i can't assist", Where::kAnywhere, kOfRefusing},
    {"i cannot translate", Where::kAnywhere, kOfRefusing},
    {"mi dispiace, ma non posso", Where::kAnywhere, kOfRefusing},
    {"mi dispiace, non posso", Where::kBegin, kOfRefusing},
    {"non posso tradurre", Where::kAnywhere, kOfRefusing},
    {"non sono in grado di tradurre", Where::kAnywhere, kOfRefusing},
    {"as an ai", Where::kAnywhere, kOfModels},
    {"as a language model", Where::kAnywhere, kOfModels},
    {"come modello linguistico", Where::kAnywhere, kOfModels},
    {"come modello di linguaggio", Where::kAnywhere, kOfModels},
    {"come intelligenza artificiale", Where::kAnywhere, kOfModels},
    {"in quanto ia", Where::kAnywhere, kOfModels},
    {"<think>", Where::kAnywhere, "<think>"},
    {"</think>", Where::kAnywhere, "</think>"},
    {"<|", Where::kAnywhere, "<|"},
    {"[inst]", Where::kAnywhere, "[inst]"},
    {"[/inst]", Where::kAnywhere, "[/inst]"},
});

bool stands(std::string_view folded, const Phrase& phrase) {
  if (phrase.where == Where::kBegin) return folded.starts_with(phrase.text);
  for (std::size_t at = folded.find(phrase.text); at != folded.npos;
       at = folded.find(phrase.text, at + 1)) {
    if (phrase.where == Where::kAnywhere || at == 0 || folded[at - 1] == '\n') return true;
  }
  return false;
}

bool excused(std::string_view source, const Phrase& phrase) {
  const std::vector<std::string_view> words = split(phrase.excuses, '|');
  return std::ranges::any_of(words,
                             [&](std::string_view w) { return source.find(w) != source.npos; });
}

bool wrapped(std::string_view text, std::string_view open, std::string_view close) {
  return text.size() > open.size() + close.size() && text.starts_with(open) &&
         text.ends_with(close) && text.find(open, open.size()) >= text.size() - close.size();
}

bool wrapped_at_all(std::string_view text) {
  return wrapped(text, "\"", "\"") || wrapped(text, "\u201C", "\u201D") ||
         wrapped(text, "«", "»") || wrapped(text, "```", "```");
}

bool begins_with_quote(std::string_view text) {
  return text.starts_with('"') || text.starts_with('\'') || text.starts_with("\u201C") ||
         text.starts_with("\u2018") || text.starts_with("«") || text.starts_with("```") ||
         text.starts_with("``");
}

}  // namespace

std::size_t count_chatter(std::string_view source, std::string_view translation) {
  std::string from(1, ' ');
  from += text::fold_case(source);
  from += ' ';
  const std::string folded = text::fold_case(translation);
  const std::string_view to = trim(folded);
  std::size_t found = 0;
  for (const Phrase& phrase : kPhrases) found += stands(to, phrase) && !excused(from, phrase);
  if (wrapped_at_all(to) && !begins_with_quote(trim(from))) ++found;
  return found;
}

}  // namespace nativo::translate
