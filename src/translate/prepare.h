// What is decided about a message before an engine sees it: numbers, dates and terms are put as
// they must be in the translation, and stand there as protected spans; paragraphs that were wrapped
// at a fixed width become one line each. Engines need to know nothing of it, and the proof stays
// exact: what came back is held against the prepared text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/line_wraps.h"
#include "text/number_style.h"
#include "text/protected_spans.h"
#include "translate/engine.h"

namespace nativo::text {
class Glossary;
}

namespace nativo::translate {

struct PrepareRules {
  text::NumberStyle numbers;
  const text::Glossary* glossary = nullptr;  ///< not owned; null = none
};

struct Prepared {
  std::string text;               ///< the source with the changes below; else byte for byte
  std::vector<text::Span> spans;  ///< of `text`
  std::vector<Term> terms;        ///< that were put in, each once
  std::size_t localized = 0;      ///< numbers and dates that look different now
  std::size_t forced = 0;         ///< places where a term was put in
  text::Unwrapped wraps;          ///< of the source; no lines = none was wrapped
};

/// Finds the protected spans of `source`; numbers of prose are localised, terms of the glossary
/// replaced by their targets (longest match, whole words, a capital kept at the start of a
/// sentence). A keyboard mnemonic inside a word (Sal&va) moves to its beginning. Wrapped lines are
/// joined with a space unless that changes what is protected.
[[nodiscard]] Prepared prepare(std::string_view source, const PrepareRules& rules);

/// text::verify_protected for a prepared message.
[[nodiscard]] Result<std::size_t> verify_prepared(const Prepared& prepared,
                                                  std::string_view result);

/// A proven translation with the line breaks of wrapped paragraphs in it again.
[[nodiscard]] std::string with_wraps(const Prepared& prepared, std::string result);

}  // namespace nativo::translate
