// The messages of records through one engine: cut, asked for once each, joined, and proven to have
// their protected spans. Not here: which engine, and what happens to a record whose message failed
// (translate/ladder.h).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "translate/engine.h"
#include "translate/pieces.h"
#include "translate/prepare.h"
#include "translate/translation_memory.h"

namespace nativo::translate {

/// What became of one message.
struct Outcome {
  std::string text;
  std::size_t sentences = 0;
  std::size_t words = 0;
  std::size_t unknown = 0;
  std::size_t cuts = 0;
  std::optional<Rejection> rejection;
};

/// One message of a record.
struct Job {
  std::size_t record;          ///< a number that the messages of one record share
  std::size_t turn;            ///< its place in the conversation
  std::string_view role;       ///< "" = a text
  const std::string* content;  ///< what is translated
  Prepared prepared;           ///< filled by MessageTranslator
  Outcome outcome;
};

/// How much of its work the memory had done already.
struct AskedCounts {
  std::uint64_t asked = 0;       ///< segments that the engine was asked for
  std::uint64_t remembered = 0;  ///< segments that it was not
};

/// Not thread-safe.
class MessageTranslator {
 public:
  /// `engine`, `memory` and the glossary of `rules` must outlive this. `formality` as [translate]
  /// has it.
  MessageTranslator(TranslationEngine& engine, TranslationMemory& memory, const PrepareRules& rules,
                    std::string from, std::string to, std::string_view formality);

  /// Fills the outcomes. Those that come back damaged are translated once more, cut finer. For an
  /// engine that takes messages, all first ones go together, then all second ones with what became
  /// of the first, and so on; a record is given up at its first rejected message.
  void translate(std::span<Job* const> jobs);

  [[nodiscard]] TranslationEngine& engine() const { return engine_; }
  [[nodiscard]] const AskedCounts& counts() const { return counts_; }

 private:
  void ask(std::span<const std::vector<Piece>> messages);
  [[nodiscard]] Outcome join(const Prepared& message, const std::vector<Piece>& pieces) const;
  void translate_grains(std::span<Job* const> jobs, std::span<const Context> contexts);
  void translate_in_turns(std::span<Job* const> jobs);
  [[nodiscard]] std::string key(const Sentence& sentence) const;

  TranslationEngine& engine_;
  TranslationMemory& memory_;
  PrepareRules rules_;
  std::string from_;
  std::string to_;
  Formality formality_;
  AskedCounts counts_;
};

}  // namespace nativo::translate
