#include "text/added_tokens.h"

#include <algorithm>

#include "text/code_point_classes.h"

namespace nativo::text {
namespace {

std::vector<std::pair<std::string_view, TokenId>> spellings(
    const std::vector<std::pair<std::string, AddedToken>>& tokens) {
  std::vector<std::pair<std::string_view, TokenId>> list;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    list.emplace_back(tokens[i].first, static_cast<TokenId>(i));
  }
  return list;
}

char32_t letter_before(std::string_view text, std::size_t& position) {
  do {
    --position;
  } while (position > 0 && (static_cast<unsigned char>(text[position]) & 0xC0) == 0x80);
  std::size_t after = position;
  return decode_utf8(text, after);
}

bool is_single_word(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0 && is(letter_before(text, begin), Letters::kWord)) return false;
  return end == text.size() || !is(decode_utf8(text, end), Letters::kWord);
}

bool touches(std::span<const ByteRange> ranges, std::size_t begin, std::size_t end) {
  const auto first = std::ranges::partition_point(
      ranges, [begin](const auto& range) { return range.second <= begin; });
  return first != ranges.end() && first->first < end;
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(std::vector<std::pair<std::string, AddedToken>> tokens)
    : tokens_(std::move(tokens)), trie_(spellings(tokens_)) {
  for (const auto& [spelling, token] : tokens_) {
    first_bytes_[static_cast<unsigned char>(spelling[0])] = true;
  }
}

std::vector<AddedTokenFinder::Part> AddedTokenFinder::split(const AlignedText& aligned,
                                                            std::size_t base,
                                                            const SpecialTokens& special) const {
  const std::string_view text = aligned.text();
  const auto is_literal = [&](std::size_t begin, std::size_t end) {
    if (special.literal.empty()) return false;
    const ByteRange origin = aligned.origin({begin, end});
    return touches(special.literal, base + origin.first, base + origin.second);
  };
  std::vector<Part> parts;
  std::size_t given = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (!first_bytes_[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    std::size_t length = 0;
    TokenId index = -1;
    trie_.prefixes(text.substr(at), [&](std::size_t found, TokenId value) {
      length = found;
      index = value;
    });
    if (index < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<std::size_t>(index)].second;
    std::size_t begin = at;
    std::size_t end = at + length;
    if (token.special && special.parse && is_literal(begin, end)) {
      ++at;  // a token of the template may begin inside what the content only seems to begin
      continue;
    }
    at = end;
    if (token.special && !special.parse) continue;
    if (token.single_word && !is_single_word(text, begin, end)) continue;
    while (token.lstrip && begin > given) {
      std::size_t before = begin;
      if (!is(letter_before(text, before), Letters::kWhiteSpace)) break;
      begin = before;
    }
    while (token.rstrip && end < text.size()) {
      std::size_t after = end;
      if (!is(decode_utf8(text, after), Letters::kWhiteSpace)) break;
      end = after;
    }
    if (given < begin) parts.push_back({given, begin, -1});
    parts.push_back({begin, end, token.id});
    given = end;
    at = std::max(at, end);
  }
  if (given < text.size()) parts.push_back({given, text.size(), -1});
  return parts;
}

}  // namespace nativo::text
