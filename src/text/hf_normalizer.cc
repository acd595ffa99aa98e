#include "text/hf_normalizer.h"

#include <fmt/format.h>
#include <unicode/bytestream.h>
#include <unicode/edits.h>
#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uniset.h>
#include <unicode/unistr.h>

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"
#include "text/base64.h"
#include "text/charsmap.h"
#include "text/code_point_classes.h"
#include "text/hf_json.h"
#include "text/split_pattern.h"

namespace nativo::text {
namespace {

constexpr int kMaxDepth = 8;
constexpr std::size_t kMaxSteps = 64;
constexpr std::size_t kMaxContent = 1024;
/// What a whole chain of steps may make of a text: see AlignedWriter::put for one step.
constexpr std::size_t kMostBytes = std::size_t{64} << 20;
constexpr std::size_t kMostTimes = 64;

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// Letter by letter: what a letter becomes does not depend on its neighbours (no final sigma).
void lowercase(AlignedText& aligned) {
  if (is_ascii(aligned.text())) {
    aligned.change_bytes(
        [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    return;
  }
  const std::string& text = aligned.text();
  AlignedWriter writer(aligned);
  std::string lower;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t start = i;
    const char32_t c = decode_utf8(text, i);
    lower.clear();
    if (c < 0x80) {
      lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    } else {
      icu::UnicodeString one(static_cast<UChar32>(c));
      one.toLower(icu::Locale::getRoot()).toUTF8String(lower);
    }
    writer.put(lower, start, i);
  }
  writer.commit();
}

template <class Keep>
void keep_letters(AlignedText& aligned, const Keep& keep) {
  const std::string& text = aligned.text();
  AlignedWriter writer(aligned);
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t start = i;
    if (keep(decode_utf8(text, i))) writer.keep(start, i);
  }
  writer.commit();
}

void strip(AlignedText& aligned, bool left, bool right) {
  const std::string& text = aligned.text();
  std::size_t begin = 0;
  std::size_t end = text.size();
  while (left && begin < end) {
    std::size_t after = begin;
    if (!is(decode_utf8(text, after), Letters::kWhiteSpace)) break;
    begin = after;
  }
  while (right && begin < end) {
    std::size_t start = end - 1;
    while (start > begin && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    std::size_t after = start;
    if (!is(decode_utf8(text, after), Letters::kWhiteSpace)) break;
    end = start;
  }
  AlignedWriter writer(aligned);
  writer.keep(begin, end);
  writer.commit();
}

/// A Unicode form as the reference library's tables of Unicode 9 know it: younger letters stay.
class UnicodeForm {
 public:
  explicit UnicodeForm(std::string_view form) {
    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2* all = form == "NFC"    ? icu::Normalizer2::getNFCInstance(status)
                                  : form == "NFD"  ? icu::Normalizer2::getNFDInstance(status)
                                  : form == "NFKC" ? icu::Normalizer2::getNFKCInstance(status)
                                                   : icu::Normalizer2::getNFKDInstance(status);
    known_ = std::make_unique<icu::UnicodeSet>(icu::UnicodeString(u"[:Age=9.0:]"), status);
    NATIVO_CHECK(U_SUCCESS(status), "ICU lacks a normal form");
    known_->freeze();
    filtered_ = std::make_unique<icu::FilteredNormalizer2>(*all, *known_);
  }

  void operator()(AlignedText& aligned) const {
    const std::string& text = aligned.text();
    UErrorCode status = U_ZERO_ERROR;
    std::string normal;
    icu::StringByteSink<std::string> sink(&normal);
    icu::Edits edits;
    filtered_->normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<int>(text.size())), sink,
                             aligned.tracked() ? &edits : nullptr, status);
    AlignedWriter writer(aligned);
    if (aligned.tracked()) {
      auto edit = edits.getFineIterator();
      while (edit.next(status)) {
        const auto begin = static_cast<std::size_t>(edit.sourceIndex());
        const std::size_t end = begin + static_cast<std::size_t>(edit.oldLength());
        if (edit.hasChange()) {
          writer.put(
              std::string_view(normal).substr(static_cast<std::size_t>(edit.destinationIndex()),
                                              static_cast<std::size_t>(edit.newLength())),
              begin, end);
        } else {
          writer.keep(begin, end);
        }
      }
    } else {
      writer.put(normal, 0, text.size());
    }
    if (U_FAILURE(status)) {
      throw Error(ExitCode::kData, "a text is too large to be normalised", "cut it into lines");
    }
    writer.commit();
  }

 private:
  std::unique_ptr<icu::UnicodeSet> known_;
  std::unique_ptr<icu::FilteredNormalizer2> filtered_;
};

void clean_for_bert(AlignedText& aligned) {
  const std::string& text = aligned.text();
  AlignedWriter writer(aligned);
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t start = i;
    const char32_t c = decode_utf8(text, i);
    if (c == 0 || c == 0xFFFD || is(c, Letters::kControl)) continue;
    if (is(c, Letters::kWhiteSpace)) {
      writer.put(" ", start, i);
    } else {
      writer.keep(start, i);
    }
  }
  writer.commit();
}

void space_ideographs(AlignedText& aligned) {
  const std::string& text = aligned.text();
  AlignedWriter writer(aligned);
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t start = i;
    const bool apart = is(decode_utf8(text, i), Letters::kCjkIdeograph);
    if (apart) writer.put(" ", start, start);
    writer.keep(start, i);
    if (apart) writer.put(" ", i, i);
  }
  writer.commit();
}

}  // namespace

HfPattern::HfPattern(simdjson::dom::element json, std::string_view path) {
  JsonObject object(json, std::string(path));
  if (const auto literal = object.find("String")) {
    literal_ = json_text(*literal, object.path_of("String"));
    if (literal_.empty()) refuse_json(object.path_of("String"), "is empty");
  } else {
    try {
      pattern_ = std::make_shared<const SplitPattern>(object.text("Regex"));
    } catch (const Error& e) {
      refuse_json(object.path_of("Regex"), e.what());
    }
  }
  object.done();
}

void HfPattern::find_all(std::string_view text, std::size_t base,
                         std::vector<ByteRange>& matches) const {
  if (pattern_) {
    pattern_->find_all(text, base, matches);
    return;
  }
  for (std::size_t at = text.find(literal_); at != std::string_view::npos;
       at = text.find(literal_, at + literal_.size())) {
    matches.emplace_back(base + at, base + at + literal_.size());
  }
}

void replace_matches(AlignedText& aligned, const HfPattern& pattern, std::string_view content) {
  const std::string& text = aligned.text();
  std::vector<ByteRange> matches;
  pattern.find_all(text, 0, matches);
  if (matches.empty()) return;
  AlignedWriter writer(aligned);
  std::size_t given = 0;
  for (const auto& [begin, end] : matches) {
    writer.keep(given, begin);
    writer.put(content, begin, end);
    given = end;
  }
  writer.keep(given, text.size());
  writer.commit();
}

HfNormalizer::HfNormalizer(simdjson::dom::element json, std::string_view path) {
  add(json, std::string(path), 0);
}

void HfNormalizer::operator()(AlignedText& text) const {
  const std::size_t most = kMostBytes + kMostTimes * text.text().size();
  for (const Step& step : steps_) {
    step(text);
    if (text.text().size() <= most) continue;
    throw Error(ExitCode::kData, "the tokenizer blows a text up beyond all bounds",
                "its normalizer is damaged");
  }
}

std::string HfNormalizer::normalized(std::string_view text) const {
  AlignedText aligned(std::string(text), false);
  (*this)(aligned);
  return aligned.take();
}

void HfNormalizer::add_unicode(std::string_view form) {
  steps_.emplace_back([form = std::make_shared<const UnicodeForm>(form)](AlignedText& text) {
    if (!is_ascii(text.text())) (*form)(text);
  });
}

void HfNormalizer::add_marks(Letters dropped) {
  steps_.emplace_back([dropped](AlignedText& text) {
    if (is_ascii(text.text())) return;
    keep_letters(text, [dropped](char32_t c) { return !is(c, dropped); });
  });
}

void HfNormalizer::add_bert(bool clean, bool space_cjk, bool strip_accents, bool lower) {
  if (clean) steps_.emplace_back(clean_for_bert);
  if (space_cjk) {
    steps_.emplace_back([](AlignedText& text) {
      if (!is_ascii(text.text())) space_ideographs(text);
    });
  }
  if (strip_accents) {
    add_unicode("NFD");
    add_marks(Letters::kNonspacingMark);
  }
  if (lower) steps_.emplace_back(lowercase);
}

void HfNormalizer::add(simdjson::dom::element json, const std::string& path, int depth) {
  if (depth > kMaxDepth || steps_.size() > kMaxSteps) refuse_json(path, "nests too deep");
  JsonObject object(json, path);
  const std::string_view type = object.text("type");
  if (type == "Sequence") {
    std::size_t index = 0;
    for (const simdjson::dom::element child : object.array("normalizers")) {
      add(child, fmt::format("{}.normalizers[{}]", path, index++), depth + 1);
    }
  } else if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") {
    add_unicode(type);
  } else if (type == "Lowercase") {
    steps_.emplace_back(lowercase);
  } else if (type == "Strip") {
    const bool left = object.flag_or("strip_left", true);
    const bool right = object.flag_or("strip_right", true);
    steps_.emplace_back([left, right](AlignedText& text) { strip(text, left, right); });
  } else if (type == "StripAccents") {
    add_marks(Letters::kCombiningMark);
  } else if (type == "Replace") {
    const HfPattern pattern(object.require("pattern"), object.path_of("pattern"));
    const std::string content(object.text("content"));
    if (content.size() > kMaxContent) refuse_json(object.path_of("content"), "is too long");
    steps_.emplace_back(
        [pattern, content](AlignedText& text) { replace_matches(text, pattern, content); });
  } else if (type == "Prepend") {
    const std::string before(object.text("prepend"));
    if (before.size() > kMaxContent) refuse_json(object.path_of("prepend"), "is too long");
    steps_.emplace_back([before](AlignedText& text) {
      if (text.text().empty()) return;
      AlignedWriter writer(text);
      std::size_t first_letter = 0;
      static_cast<void>(decode_utf8(text.text(), first_letter));
      writer.put(before, 0, first_letter);
      writer.keep(0, text.text().size());
      writer.commit();
    });
  } else if (type == "BertNormalizer") {
    const bool lower = object.flag_or("lowercase", true);
    add_bert(object.flag_or("clean_text", true), object.flag_or("handle_chinese_chars", true),
             object.flag_or("strip_accents", lower), lower);
  } else if (type == "Precompiled") {
    const auto blob = decode_base64(object.text("precompiled_charsmap"));
    if (!blob) refuse_json(object.path_of("precompiled_charsmap"), "is not base64");
    steps_.emplace_back([map = std::make_shared<const Charsmap>(*blob)](AlignedText& text) {
      map->normalize(text);
    });
  } else {
    refuse_json(object.path_of("type"), fmt::format("\"{}\" is not supported", printable(type)));
  }
  object.done();
}

}  // namespace nativo::text
