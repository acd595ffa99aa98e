// A record as the rules see it: prose without code, words, language; measured once, judged often.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/record.h"
#include "filter/options.h"
#include "text/language_id.h"
#include "text/tokenizer.h"
#include "text/words.h"

namespace nativo::filter {

/// One message of a conversation, or the whole document.
struct Part {
  std::string_view content;
  std::string prose;              ///< content without code, formulas, tags and addresses
  std::string running;            ///< the same with inline code and formulas: what repeats or not
  std::vector<text::Word> words;  ///< of prose, without punctuation
  std::vector<text::Word> running_words;  ///< of running, without punctuation
  std::size_t chars = 0;  ///< code points of running, white space at its ends not counted
};

struct Subject {
  const data::Record* record = nullptr;
  bool conversation = false;
  const Json* translation = nullptr;  ///< the lineage entry of stage "translate", if there is one
  std::vector<Part> parts;
  std::size_t words = 0;  ///< of all parts, punctuation not counted
  std::int64_t tokens =
      0;  ///< of the whole content, code included; words where no tokenizer is known
  text::LanguageGuess language;
  std::string_view target;                      ///< the run's language
  std::span<const std::string> own_stop_words;  ///< the option's
};

/// Measures `record`, which must outlive the subject. `tokenizer` may be null.
[[nodiscard]] Subject make_subject(const data::Record& record, const FilterOptions& options,
                                   std::string_view target, const text::Tokenizer* tokenizer);

}  // namespace nativo::filter
