#include "translate/translation_memory.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/strings.h"

namespace nativo::translate {

std::string memory_value(std::string_view source, const Translation& translation) {
  Json value = {{"source", source},
                {"text", translation.text},
                {"words", translation.words},
                {"unknown", translation.unknown}};
  if (translation.cuts > 0) value["cuts"] = translation.cuts;
  return dump_json(value);
}

std::optional<Translation> parse_memory_value(std::string_view value) {
  const Json object = Json::parse(value, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return std::nullopt;
  const auto text = object.find("text");
  const auto words = object.find("words");
  const auto unknown = object.find("unknown");
  if (text == object.end() || !text->is_string() || words == object.end() ||
      !words->is_number_unsigned() || unknown == object.end() || !unknown->is_number_unsigned()) {
    return std::nullopt;
  }
  const auto cuts = object.find("cuts");
  if (cuts != object.end() && !cuts->is_number_unsigned()) return std::nullopt;
  return Translation{text->get<std::string>(),
                     words->get<std::size_t>(),
                     unknown->get<std::size_t>(),
                     true,
                     {},
                     cuts == object.end() ? 0 : cuts->get<std::size_t>()};
}

TranslationMemory::TranslationMemory(const std::filesystem::path& folder, io::Disk& disk) {
  if (!folder.empty()) log_.emplace(folder, io::KeyedLog::OnEntry(), disk);
}

std::string TranslationMemory::key(const TranslationEngine& engine, std::string_view from,
                                   std::string_view to, std::string_view sentence_key) {
  const std::string name = engine.name();
  const std::string version = engine.version();
  std::string all;
  for (const std::string_view field :
       {std::string_view(name), std::string_view(version), from, to, sentence_key}) {
    all += fmt::format("{}:{}", field.size(), field);
  }
  return xxh128_hex(all);
}

const Translation* TranslationMemory::find(const std::string& key) {
  const auto known = known_.find(key);
  if (known != known_.end() && known->second.ok) return &known->second;
  const std::optional<std::string> value = log_ ? log_->find(key) : std::nullopt;
  std::optional<Translation> logged = value ? parse_memory_value(*value) : std::nullopt;
  if (logged) return &(known_[key] = std::move(*logged));
  return known == known_.end() ? nullptr : &known->second;
}

void TranslationMemory::add(const std::string& key, std::string_view source,
                            Translation translation) {
  if (log_ && translation.ok && is_valid_utf8(translation.text)) {
    log_->put(key, memory_value(source, translation));
  }
  known_.insert_or_assign(key, std::move(translation));
}

void TranslationMemory::refresh() {
  if (log_) log_->refresh();
}

}  // namespace nativo::translate
