// Engines for tests: upper-case what lies outside the parts; fail on demand.
#pragma once

#include <string>
#include <vector>

#include "translate/engine.h"

namespace nativo::translate {

enum class Fault { kNone, kDropPart, kDoublePart, kNotOk, kUnknown, kAddNumber };

class FakeEngine : public TranslationEngine {
 public:
  /// Sentences that contain `trigger` suffer `fault` (as long as they have parts, for part faults).
  explicit FakeEngine(Fault fault = Fault::kNone, std::string trigger = {})
      : fault_(fault), trigger_(std::move(trigger)) {}

  std::vector<Translation> translate(std::span<const Sentence> sentences) override {
    std::vector<Translation> all;
    for (const Sentence& sentence : sentences) {
      asked.push_back(sentence.text);
      all.push_back(one(sentence));
    }
    return all;
  }
  std::string name() const override { return "fake"; }
  std::string version() const override { return "1"; }

  std::vector<std::string> asked;  ///< every sentence, in order

 protected:
  Translation one(const Sentence& sentence) const {
    const bool hit = fault_ != Fault::kNone && sentence.text.find(trigger_) != std::string::npos;
    Translation result{{}, 4, hit && fault_ == Fault::kUnknown ? 4U : 0U, true};
    if (hit && fault_ == Fault::kNotOk) result.ok = false;
    std::size_t at = 0;
    const auto upper = [&](std::size_t end) {
      for (; at < end; ++at) {
        const char c = sentence.text[at];
        result.text += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
      }
    };
    for (const Part& part : sentence.parts) {
      upper(part.begin);
      const std::string bytes = sentence.text.substr(part.begin, part.end - part.begin);
      at = part.end;
      if (!(hit && fault_ == Fault::kDropPart)) result.text += bytes;
      if (hit && fault_ == Fault::kDoublePart) result.text += " " + bytes;
    }
    upper(sentence.text.size());
    if (hit && fault_ == Fault::kAddNumber) result.text += " 7";
    return result;
  }

  Fault fault_;
  std::string trigger_;
};

/// Takes whole messages, and writes down the context of each: "user after [Hi.=HI.] formal".
class FakeMessageEngine : public FakeEngine {
 public:
  using FakeEngine::FakeEngine;

  Unit unit() const override { return Unit::kMessage; }
  std::vector<Translation> translate(std::span<const Sentence> sentences) override {
    for (const Sentence& sentence : sentences) {
      std::string seen(sentence.context->role);
      for (const Turn& turn : sentence.context->before) {
        seen += " [" + turn.source + "=" + turn.translation + "]";
      }
      if (sentence.context->formality == Formality::kFormal) seen += " formal";
      contexts.push_back(seen);
    }
    ++calls;
    return FakeEngine::translate(sentences);
  }

  std::vector<std::string> contexts;  ///< of every message, in order
  int calls = 0;
};

}  // namespace nativo::translate
