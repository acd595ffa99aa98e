#include "model/translation_vocabulary.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"

namespace nativo::model {
namespace {

constexpr std::size_t kMaxRun = 16;

/// Lines without their '\n'; a last line without one counts.
std::vector<std::string_view> lines_of(std::string_view content) {
  std::vector<std::string_view> lines = split(content, '\n');
  if (lines.back().empty()) lines.pop_back();
  return lines;
}

}  // namespace

TranslationVocabulary::TranslationVocabulary(std::vector<std::string> tokens,
                                             const std::string& unknown)
    : tokens_(std::move(tokens)) {
  if (std::find(tokens_.begin(), tokens_.end(), unknown) == tokens_.end()) {
    tokens_.push_back(unknown);
  }
  ids_.reserve(tokens_.size());
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    ids_.emplace(tokens_[i], static_cast<std::int32_t>(i));
  }
  unknown_ = ids_.at(unknown);
}

const std::string& TranslationVocabulary::token(std::int32_t id) const {
  NATIVO_CHECK(id >= 0 && id < size(), "an id of the vocabulary");
  return tokens_[static_cast<std::size_t>(id)];
}

std::optional<std::int32_t> TranslationVocabulary::find(std::string_view token) const {
  const auto found = ids_.find(std::string(token));
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

std::int32_t TranslationVocabulary::id(std::string_view token) const {
  return find(token).value_or(unknown_);
}

std::vector<std::string> parse_vocabulary_text(std::string_view content) {
  const std::vector<std::string_view> lines = lines_of(content);
  const bool carriage_returns =
      std::all_of(lines.begin(), lines.end(), [](auto line) { return line.ends_with('\r'); });
  std::vector<std::string> tokens;
  tokens.reserve(lines.size());
  for (std::string_view line : lines) {
    if (carriage_returns) line.remove_suffix(1);
    tokens.emplace_back(line);
  }
  return tokens;
}

std::vector<std::string> parse_vocabulary_json(std::string_view content, std::string_view where) {
  const Json json = parse_json(content, where);
  if (!json.is_array()) {
    throw Error(ExitCode::kData, fmt::format("{}: a vocabulary is a list of strings", where));
  }
  std::vector<std::string> tokens;
  tokens.reserve(json.size());
  for (const Json& token : json) {
    if (!token.is_string()) {
      throw Error(ExitCode::kData, fmt::format("{}: token {} is no string", where, tokens.size()));
    }
    tokens.push_back(token.get<std::string>());
  }
  return tokens;
}

VocabularyMap::VocabularyMap(std::string_view content, const TranslationVocabulary& target,
                             std::string_view where) {
  std::size_t number = 0;
  for (const std::string_view line : lines_of(content)) {
    ++number;
    const std::size_t tab = line.find('\t');
    if (tab == std::string_view::npos) {
      throw Error(ExitCode::kData,
                  fmt::format("{}:{}: no tab between source and target tokens", where, number));
    }
    const std::string_view source = line.substr(0, tab);
    const auto run = static_cast<std::size_t>(std::count(source.begin(), source.end(), ' '));
    if (run >= kMaxRun) {
      throw Error(ExitCode::kData,
                  fmt::format("{}:{}: more than {} source tokens", where, number, kMaxRun));
    }
    if (by_length_.size() <= run) by_length_.resize(run + 1);
    std::vector<std::int32_t>& ids = by_length_[run][std::string(source)];
    ids.clear();  // of equal sources the last counts
    for (const std::string_view token : split(line.substr(tab + 1), ' ')) {
      if (!token.empty()) ids.push_back(target.id(token));
    }
  }
}

std::vector<std::int32_t> VocabularyMap::candidates(std::span<const std::string> source) const {
  std::vector<std::int32_t> ids;
  const auto add = [&](std::size_t length, const std::string& run) {
    if (length > by_length_.size()) return;
    const auto found = by_length_[length - 1].find(run);
    if (found != by_length_[length - 1].end()) {
      ids.insert(ids.end(), found->second.begin(), found->second.end());
    }
  };
  add(1, "");
  for (std::size_t i = 0; i < source.size(); ++i) {
    std::string run;
    for (std::size_t length = 1; length <= by_length_.size() && i + length <= source.size();
         ++length) {
      if (length > 1) run += ' ';
      run += source[i + length - 1];
      add(length, run);
    }
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

}  // namespace nativo::model
