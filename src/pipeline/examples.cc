#include "pipeline/examples.h"

#include <algorithm>

#include "base/parallel.h"
#include "text/chat_format.h"

namespace nativo::pipeline {

std::vector<train::Example> make_examples(const std::vector<data::Record>& records,
                                          const text::Tokenizer& tokenizer,
                                          std::string_view train_on) {
  const text::ChatFormat format(tokenizer);
  std::vector<train::Example> examples(records.size());
  parallel_for(records.size(), [&](std::size_t i) {
    const data::Record& record = records[i];
    text::ChatTokens tokens;
    if (record.messages.empty()) {
      tokens = text::encode_document(tokenizer, record.text);
    } else {
      std::vector<text::ChatMessage> messages;
      for (const data::Message& message : record.messages) {
        messages.push_back({message.role, message.content});
      }
      try {
        tokens = format.conversation(messages);
      } catch (const Error& e) {
        throw Error(e.code(), "record " + record.id + ": " + e.what(), e.hint());
      }
      if (train_on == "all" && !tokens.trained.empty()) {
        std::fill(tokens.trained.begin() + 1, tokens.trained.end(), 1);
      }
    }
    examples[i] = {.tokens = std::move(tokens.ids),
                   .loss_mask = std::move(tokens.trained),
                   .id = record.id,
                   .source = record.source,
                   .lang = record.lang};
  });
  return examples;
}

}  // namespace nativo::pipeline
