#include "translate/message_translator.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::translate {
namespace {

Formality formality_of(std::string_view option) {
  return option == "formal"     ? Formality::kFormal
         : option == "informal" ? Formality::kInformal
                                : Formality::kAny;
}

/// What went wrong with the message is a protected span, as the proof or the engine itself says.
bool lost_spans(const Job& job) {
  constexpr std::string_view kRule = "protected_span";
  const std::optional<Rejection>& why = job.outcome.rejection;
  return why && (why->rule.starts_with(kRule) || why->value.starts_with(kRule));
}

}  // namespace

MessageTranslator::MessageTranslator(TranslationEngine& engine, TranslationMemory& memory,
                                     const PrepareRules& rules, std::string from, std::string to,
                                     std::string_view formality)
    : engine_(engine),
      memory_(memory),
      rules_(rules),
      from_(std::move(from)),
      to_(std::move(to)),
      formality_(formality_of(formality)) {}

std::string MessageTranslator::key(const Sentence& sentence) const {
  return TranslationMemory::key(engine_, from_, to_, memory_key(sentence));
}

/// Asks the engine for all sentences that are not in the memory yet, once each.
void MessageTranslator::ask(std::span<const std::vector<Piece>> messages) {
  std::vector<Sentence> wanted;
  std::vector<std::string> keys;
  std::unordered_set<std::string> asked;
  for (const std::vector<Piece>& pieces : messages) {
    for (const Piece& piece : pieces) {
      if (!piece.sentence) continue;
      std::string sentence_key = key(*piece.sentence);
      if (memory_.find(sentence_key) != nullptr || !asked.insert(sentence_key).second) {
        ++counts_.remembered;
        continue;
      }
      wanted.push_back(*piece.sentence);
      keys.push_back(std::move(sentence_key));
    }
  }
  if (wanted.empty()) return;
  std::vector<Translation> answers = engine_.translate(wanted);
  if (answers.size() != wanted.size()) {
    throw Error(ExitCode::kInternal, fmt::format("translation engine {}: {} questions, {} answers",
                                                 engine_.name(), wanted.size(), answers.size()));
  }
  counts_.asked += answers.size();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    memory_.add(keys[i], wanted[i].text, std::move(answers[i]));
  }
}

Outcome MessageTranslator::join(const Prepared& message, const std::vector<Piece>& pieces) const {
  Outcome outcome;
  for (const Piece& piece : pieces) {
    if (!piece.sentence) {
      outcome.text += piece.verbatim;
      continue;
    }
    const Translation* translation = memory_.find(key(*piece.sentence));
    NATIVO_CHECK(translation != nullptr, "every sentence was asked for");
    if (!translation->ok || trim(translation->text).empty()) {
      const std::string shown = translation->reason.empty()
                                    ? "no usable answer for: " + piece.sentence->text
                                    : translation->reason;
      outcome.rejection = Rejection{"engine_failed", std::string(utf8_prefix(shown, 200))};
      return outcome;
    }
    outcome.text += translation->text;
    outcome.words += translation->words;
    outcome.unknown += translation->unknown;
    outcome.cuts += translation->cuts;
    ++outcome.sentences;
  }
  const auto proof = verify_prepared(message, outcome.text);
  if (!proof.ok()) {
    outcome.rejection = proof.rejection();
  } else {
    outcome.text = with_wraps(message, std::move(outcome.text));
  }
  return outcome;
}

/// `contexts` is empty or has one for each.
void MessageTranslator::translate_grains(std::span<Job* const> jobs,
                                         std::span<const Context> contexts) {
  const bool messages_wanted = engine_.unit() == Unit::kMessage;
  bool first = true;
  for (const Grain grain : grains_of(engine_.unit())) {
    std::vector<std::vector<Piece>> messages;
    std::vector<Job*> open;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (!first && !jobs[i]->outcome.rejection) continue;
      // Scraps of a message say little to an engine that was made for all of it: they are for those
      // that lose spans, not for those that are refused or too long.
      if (grain == Grain::kBetweenSpans && messages_wanted && !lost_spans(*jobs[i])) continue;
      open.push_back(jobs[i]);
      messages.push_back(cut(jobs[i]->prepared, grain));
      if (contexts.empty()) continue;
      for (Piece& piece : messages.back()) {
        if (piece.sentence) piece.sentence->context = &contexts[i];
      }
    }
    ask(messages);
    for (std::size_t i = 0; i < open.size(); ++i) {
      open[i]->outcome = join(open[i]->prepared, messages[i]);
    }
    first = false;
  }
}

void MessageTranslator::translate_in_turns(std::span<Job* const> jobs) {
  std::map<std::size_t, std::vector<Turn>> before;
  std::set<std::size_t> given_up;
  for (std::size_t turn = 0;; ++turn) {
    std::vector<Job*> open;
    std::vector<Context> contexts;
    bool later = false;
    for (Job* job : jobs) {
      later = later || job->turn > turn;
      if (job->turn != turn || given_up.contains(job->record)) continue;
      open.push_back(job);
      contexts.push_back({job->role, before[job->record], formality_, job->prepared.terms});
    }
    if (!open.empty()) translate_grains(open, contexts);
    for (const Job* job : open) {
      if (job->outcome.rejection) given_up.insert(job->record);
      before[job->record].push_back({std::string(job->role), *job->content, job->outcome.text});
    }
    if (!later) return;
  }
}

void MessageTranslator::translate(std::span<Job* const> jobs) {
  for (Job* job : jobs) job->prepared = prepare(*job->content, rules_);
  if (engine_.unit() == Unit::kMessage) {
    translate_in_turns(jobs);
  } else {
    translate_grains(jobs, {});
  }
}

}  // namespace nativo::translate
