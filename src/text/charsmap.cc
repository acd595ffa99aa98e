#include "text/charsmap.h"

#include <unicode/brkiter.h>
#include <unicode/locid.h>
#include <unicode/utext.h>

#include <cstring>
#include <memory>

#include "base/error.h"
#include "text/code_point_classes.h"
#include "text/sentencepiece_model.h"

namespace nativo::text {
namespace {

constexpr std::size_t kLongestCluster = 5;

/// Grapheme_Cluster_Break is Other, Control or LF.
bool is_simple(char32_t c) {
  static const CodePointClasses classes = [] {
    const CodePointRanges simple[] = {code_points("[[:GCB=XX:][:GCB=CN:][:GCB=LF:]]")};
    return CodePointClasses(simple);
  }();
  return classes.of(c) != 0;
}

/// The begin and end of each grapheme cluster of `text`; `breaks` is made when it is first needed.
template <class Visit>
void each_cluster(std::string_view text, std::unique_ptr<icu::BreakIterator>& breaks,
                  const Visit& visit) {
  UErrorCode status = U_ZERO_ERROR;
  if (!breaks) {
    breaks.reset(icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
  }
  UText opened = UTEXT_INITIALIZER;
  utext_openUTF8(&opened, text.data(), static_cast<std::int64_t>(text.size()), &status);
  if (U_SUCCESS(status)) breaks->setText(&opened, status);
  NATIVO_CHECK(U_SUCCESS(status), "ICU has no character breaks");
  std::int32_t start = breaks->first();
  for (std::int32_t end = breaks->next(); end != icu::BreakIterator::DONE;
       start = end, end = breaks->next()) {
    visit(static_cast<std::size_t>(start), static_cast<std::size_t>(end));
  }
  utext_close(&opened);
}

}  // namespace

Charsmap::Charsmap(std::string_view blob) {
  check_charsmap(blob, "precompiled_charsmap");
  if (blob.empty()) return;
  std::uint32_t trie_bytes = 0;
  std::memcpy(&trie_bytes, blob.data(), sizeof trie_bytes);
  units_.resize(trie_bytes / 4);
  std::memcpy(units_.data(), blob.data() + 4, trie_bytes);
  strings_ = blob.substr(4 + trie_bytes);
}

std::optional<std::string_view> Charsmap::find(std::string_view letters) const {
  const auto offset = [](std::uint32_t unit) -> std::size_t {
    return static_cast<std::size_t>(unit >> 10) << ((unit & (1U << 9)) >> 6);
  };
  std::size_t node = offset(units_[0]);
  for (const char c : letters) {
    const auto label = static_cast<unsigned char>(c);
    if (label == 0) return std::nullopt;
    node ^= label;
    const std::uint32_t unit = units_[node];
    if ((unit & ((1U << 31) | 0xFF)) != label) return std::nullopt;
    node ^= offset(unit);
    if (((unit >> 8) & 1) == 0) continue;
    const std::string_view from =
        std::string_view(strings_).substr(units_[node] & ((1U << 31) - 1));
    return from.substr(0, from.find('\0'));
  }
  return std::nullopt;
}

void Charsmap::normalize(AlignedText& aligned) const {
  if (units_.empty()) return;
  const std::string_view text = aligned.text();
  AlignedWriter writer(aligned);
  const auto map_letters = [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end;) {
      const std::size_t start = i;
      static_cast<void>(decode_utf8(text, i));
      if (const auto found = find(text.substr(start, i - start))) {
        writer.put(*found, start, i);
      } else {
        writer.keep(start, i);
      }
    }
  };
  const auto map_cluster = [&](std::size_t begin, std::size_t end) {
    if (end - begin <= kLongestCluster) {
      if (const auto found = find(text.substr(begin, end - begin))) {
        writer.put(*found, begin, end);
        return;
      }
    }
    map_letters(begin, end);
  };
  // Two neighbours that are simple never share a cluster (UAX 29: GB4, GB5, GB999). ICU is asked
  // about what lies between two such places.
  std::unique_ptr<icu::BreakIterator> breaks;
  for (std::size_t start = 0; start < text.size();) {
    std::size_t end = start;
    bool simple = is_simple(decode_utf8(text, end));
    bool whole = simple;
    while (end < text.size()) {
      std::size_t after = end;
      const bool next_simple = is_simple(decode_utf8(text, after));
      if (simple && next_simple) break;
      simple = next_simple;
      whole = false;
      end = after;
    }
    if (whole) {
      map_cluster(start, end);
    } else {
      each_cluster(
          text.substr(start, end - start), breaks,
          [&](std::size_t begin, std::size_t until) { map_cluster(start + begin, start + until); });
    }
    start = end;
  }
  writer.commit();
}

}  // namespace nativo::text
