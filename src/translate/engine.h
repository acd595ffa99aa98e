// What every translation engine offers. The stage (translate_stage.h) knows nothing of any engine
// but this; it checks what comes back and never trusts it. Two kinds of engine fit: one that takes
// sentences by themselves (rules, neural machine translation) and one that takes whole messages
// with the conversation before them (language models).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/protected_spans.h"

namespace nativo::translate {

/// Bytes [begin, end) of a sentence that must come back unchanged, exactly once, anywhere in the
/// translation.
struct Part {
  std::size_t begin;
  std::size_t end;
  text::SpanKind kind;
  /// A count ("12 days"), as opposed to a name or a piece of code.
  [[nodiscard]] bool is_number() const { return kind == text::SpanKind::kNumber; }
  /// Markup or ornament: it stands around or between words and is none in the sentence's grammar.
  [[nodiscard]] bool is_mark() const {
    return kind == text::SpanKind::kMarkup || kind == text::SpanKind::kTag ||
           kind == text::SpanKind::kMnemonic || kind == text::SpanKind::kSymbol ||
           kind == text::SpanKind::kEscape || kind == text::SpanKind::kMessageFormat;
  }
  bool operator==(const Part&) const = default;
};

/// How a translation addresses its reader: Italian "tu" or "Lei".
enum class Formality { kAny, kInformal, kFormal };

/// An earlier message of the same conversation.
struct Turn {
  std::string role;  ///< "system", "user" or "assistant"
  std::string source;
  std::string translation;
};

/// A word of the source and what it must be in the translation.
struct Term {
  std::string source;
  std::string target;
  bool operator==(const Term&) const = default;
};

/// What an engine may use beyond the text itself; everything is a wish but the text's parts.
/// Views: valid during the call of translate() only.
struct Context {
  std::string_view role;         ///< of the message; "" = a text, no conversation
  std::span<const Turn> before;  ///< earlier messages, the oldest first
  Formality formality = Formality::kAny;
  std::span<const Term> terms;  ///< of the glossary, those that occur in the text
};

/// What is to be translated, as much of it at a time as the engine's unit() says: valid UTF-8
/// without control characters but '\t', '\n' and '\r', no white space at its ends.
struct Sentence {
  std::string text;
  std::vector<Part> parts;           ///< in order, not overlapping
  const Context* context = nullptr;  ///< not owned; null for engines whose unit is a sentence
};

/// What an engine made of it.
struct Translation {
  std::string text;         ///< meaningless when !ok
  std::size_t words = 0;    ///< words that the engine was asked to translate
  std::size_t unknown = 0;  ///< of these, words it did not know
  bool ok = false;          ///< false when the engine lost or doubled a part, or gave no answer
  std::string reason = {};  ///< why it is not ok, when the engine knows; no secrets
  std::size_t cuts = 0;     ///< places where it was cut, being too long for the engine
};

/// How much text an engine wants at a time.
enum class Unit {
  kSentence,  ///< one sentence, list item or table cell, without a line break at its ends
  kMessage,   ///< a whole message (or, when that failed, its paragraphs) with a context
};

class TranslationEngine {
 public:
  virtual ~TranslationEngine() = default;

  [[nodiscard]] virtual Unit unit() const { return Unit::kSentence; }

  /// One translation a sentence, in order. The answer for a sentence depends on that sentence
  /// (text, parts, what its context says) alone, never on the others. Throws Error when the engine
  /// cannot be brought to work.
  [[nodiscard]] virtual std::vector<Translation> translate(std::span<const Sentence> sentences) = 0;

  [[nodiscard]] virtual std::string name() const = 0;
  /// Names programs and data: equal versions give equal translations.
  [[nodiscard]] virtual std::string version() const = 0;
};

}  // namespace nativo::translate
