// Records to training examples: tokens and the mask of those that are trained on.
#pragma once

#include <string_view>
#include <vector>

#include "data/record.h"
#include "text/tokenizer.h"
#include "train/example.h"

namespace nativo::pipeline {

/// One example a record, in order, tokenised on all threads. Conversations are written in the
/// tokenizer's ChatFormat; `train_on` is "assistant" (the assistant's turns and what ends each) or
/// "all". Plain texts
/// are always trained on whole. A conversation that breaks the alternation of roles was rejected
/// long before: it throws Error(kData) naming the record.
[[nodiscard]] std::vector<train::Example> make_examples(const std::vector<data::Record>& records,
                                                        const text::Tokenizer& tokenizer,
                                                        std::string_view train_on);

}  // namespace nativo::pipeline
