#include "filter/subject.h"

#include <algorithm>

#include "base/strings.h"
#include "text/normalize.h"

namespace nativo::filter {
namespace {

const Json* translation_entry(const data::Record& record) {
  if (!record.lineage.is_array()) return nullptr;
  for (const Json& entry : record.lineage) {
    if (!entry.is_object()) continue;
    const auto stage = entry.find("stage");
    if (stage != entry.end() && *stage == "translate") return &entry;
  }
  return nullptr;
}

std::vector<text::Word> words_only(std::string_view text) {
  std::vector<text::Word> words = text::split_words(text);
  std::erase_if(words, [](const text::Word& word) { return word.punctuation; });
  return words;
}

}  // namespace

Subject make_subject(const data::Record& record, const FilterOptions& options,
                     std::string_view target, const text::Tokenizer* tokenizer) {
  Subject subject;
  subject.record = &record;
  subject.conversation = !record.messages.empty();
  subject.translation = translation_entry(record);
  subject.target = target;
  subject.own_stop_words = options.stop_words;
  for (const data::Message& message : record.messages) {
    subject.parts.emplace_back().content = message.content;
  }
  if (!subject.conversation) subject.parts.emplace_back().content = record.text;
  std::string all;
  for (Part& part : subject.parts) {
    part.prose = text::prose(part.content);
    part.running = text::prose(part.content, text::Inline::kKeep);
    part.words = words_only(part.prose);
    part.running_words = words_only(part.running);
    part.chars = count_code_points(trim(part.running));
    subject.words += part.words.size();
    subject.tokens += tokenizer != nullptr
                          ? static_cast<std::int64_t>(tokenizer->encode(part.content).size())
                          : static_cast<std::int64_t>(words_only(part.content).size());
    all += part.prose;
    all += '\n';
  }
  subject.language = text::identify_prose(all);
  return subject;
}

}  // namespace nativo::filter
