// What human translators do with protected spans, what an engine without any scruple can do to
// them, and where sentences end, measured on real data. Run with NATIVO_DATA;
// docs/translation-text.md quotes what this prints.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unicode/ubrk.h>
#include <unicode/utext.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <set>

#include "base/json.h"
#include "parallel_data.h"
#include "text/segments.h"
#include "text/sentence_breaks.h"
#include "translate/translate_stage.h"

namespace nativo::translate {
namespace {

using text::Span;
using text::SpanKind;

std::string_view bytes_of(std::string_view text, const Span& span) {
  return text.substr(span.begin, span.end - span.begin);
}

std::vector<std::string> gpteacher_texts() {
  const auto path = parallel_data() / "instr_en_gpteacher/codegen-instruct.json.gz";
  std::vector<std::string> texts;
  for (const Json& row : Json::parse(io::read_decompressed(path))) {
    for (const char* field : {"instruction", "input", "response"}) {
      const std::string text = row.value(field, "");
      if (!text.empty()) texts.push_back(text);
    }
  }
  return texts;
}

TEST(SpansOnData, HumanTranslatorsKeepThem) {
  if (parallel_data().empty()) GTEST_SKIP() << "NATIVO_DATA is not set";
  struct Count {
    std::size_t rows = 0;
    std::size_t equal = 0;
  };
  std::map<SpanKind, Count> sum;
  for (const ParallelSet& set : markup_sets()) {
    std::map<SpanKind, Count> kinds;
    for (const auto& [source, translation] : set.pairs) {
      std::map<SpanKind, std::multiset<std::string_view>> a;
      std::map<SpanKind, std::multiset<std::string_view>> b;
      for (const Span& s : text::find_spans(source)) a[s.kind].insert(bytes_of(source, s));
      for (const Span& s : text::find_spans(translation))
        b[s.kind].insert(bytes_of(translation, s));
      for (const auto& [kind, spans] : a) {
        ++kinds[kind].rows;
        kinds[kind].equal += spans == b[kind];
      }
    }
    fmt::print("{:<10}{:>16} {:>6} {:>8}\n", set.name, "kind", "rows", "equal");
    for (const auto& [kind, count] : kinds) {
      fmt::print("{:<10}{:>16} {:>6} {:>7.2f}%\n", "", text::span_kind_name(kind), count.rows,
                 100.0 * static_cast<double>(count.equal) / static_cast<double>(count.rows));
      sum[kind].rows += count.rows;
      sum[kind].equal += count.equal;
    }
  }
  // Below these shares a kind protects what people translate.
  const std::map<SpanKind, double> least = {
      {SpanKind::kPlaceholder, 0.97}, {SpanKind::kTag, 0.95},        {SpanKind::kInlineCode, 0.92},
      {SpanKind::kNumber, 0.90},      {SpanKind::kIdentifier, 0.88}, {SpanKind::kMarkup, 0.95},
      {SpanKind::kUrl, 0.95}};
  for (const auto& [kind, share] : least) {
    const Count& count = sum[kind];
    EXPECT_GE(static_cast<double>(count.equal), share * static_cast<double>(count.rows))
        << text::span_kind_name(kind);
  }
}

/// Does its worst to all that is no part: turns words round, shouts, and drops what looks odd;
/// gives the parts back in the reverse order.
class MeanEngine : public TranslationEngine {
 public:
  explicit MeanEngine(Unit unit) : unit_(unit) {}
  Unit unit() const override { return unit_; }
  std::string name() const override { return "mean"; }
  std::string version() const override { return "1"; }

  std::vector<Translation> translate(std::span<const Sentence> sentences) override {
    std::vector<Translation> all;
    for (const Sentence& sentence : sentences) {
      std::vector<std::string> pieces;
      std::size_t at = 0;
      for (const Part& part : sentence.parts) {
        pieces.push_back(mangled(sentence.text.substr(at, part.begin - at)));
        pieces.push_back(sentence.text.substr(part.begin, part.end - part.begin));
        at = part.end;
      }
      pieces.push_back(mangled(sentence.text.substr(at)));
      std::string text;
      for (std::size_t i = pieces.size(); i-- > 0;) text += " " + pieces[i];
      all.push_back({std::string(trim(text)), 1, 0, true});
    }
    return all;
  }

 private:
  static std::string mangled(const std::string& text) {
    std::string out;
    for (const std::string_view word : split(text, ' ')) {
      std::string turned;
      for (auto c = word.rbegin(); c != word.rend(); ++c) {
        const bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
        if (letter) turned += static_cast<char>(*c & ~0x20);
      }
      if (!turned.empty()) out += (out.empty() ? "" : " ") + turned;
    }
    return out;
  }

  Unit unit_;
};

/// Translates each text as a record; every span of the kept ones must be there. Share of the kept.
double survival(const std::string& name, const std::vector<std::string>& texts, Unit unit) {
  MeanEngine engine(unit);
  TranslateOptions options;
  options.check.off = {"empty",        "untranslated", "wrong_language", "length_ratio",
                       "numbers_lost", "repetition",   "truncation",     "chatter"};
  RecordTranslator translator(engine, options, "it");
  std::size_t kept = 0;
  std::size_t spans = 0;
  std::map<std::string, std::size_t> rules;
  for (const std::string& source : texts) {
    data::Record record;
    record.text = source;
    record.lang = "en";
    const data::BlockResult result = translator.translate({record});
    if (result.kept.empty()) {
      if (std::getenv("NATIVO_SHOW_LOST") != nullptr) {
        fmt::print("{}: {} ||| {}\n", result.rejected[0].reason.rule,
                   result.rejected[0].reason.value, source);
      }
      ++rules[result.rejected[0].reason.rule];
      continue;
    }
    ++kept;
    const std::string& text = result.kept[0].text;
    EXPECT_EQ(std::ranges::count(text, '_'), std::ranges::count(source, '_')) << source;
    std::map<std::string_view, std::size_t> wanted;
    for (const Span& span : text::find_spans(source)) ++wanted[bytes_of(source, span)];
    for (const auto& [bytes, times] : wanted) {
      std::size_t found = 0;
      for (std::size_t at = text.find(bytes); at != text.npos; at = text.find(bytes, at + 1)) {
        ++found;
      }
      EXPECT_GE(found, times) << bytes << " in " << source;
      spans += times;
    }
  }
  std::string rejected;
  for (const auto& [rule, count] : rules) rejected += fmt::format("  {} {}", rule, count);
  const double share = static_cast<double>(kept) / static_cast<double>(texts.size());
  fmt::print("{:<12}{:>10} {:>6} rows, {:>6.2f}% kept with all of {} spans{}\n", name,
             unit == Unit::kMessage ? "messages" : "sentences", texts.size(), 100.0 * share, spans,
             rejected);
  return share;
}

TEST(SpansOnData, AMeanEngineLosesNone) {
  if (parallel_data().empty()) GTEST_SKIP() << "NATIVO_DATA is not set";
  std::vector<std::pair<std::string, std::vector<std::string>>> sets;
  for (const ParallelSet& set : markup_sets()) {
    sets.emplace_back(set.name, std::vector<std::string>());
    for (const Pair& pair : set.pairs) sets.back().second.push_back(pair.first);
  }
  sets.emplace_back("gpteacher", gpteacher_texts());
  for (const auto& [name, texts] : sets) {
    EXPECT_EQ(survival(name, texts, Unit::kSentence), 1.0) << name;
    EXPECT_EQ(survival(name, texts, Unit::kMessage), 1.0) << name;
  }
}

/// Sentences of the set, five to a line, put together with a space; shares of the ends that were
/// found and of the found ones that are right. The latter says little where a row has more than one
/// sentence (!single).
void sentence_ends(const std::string& name, const std::vector<std::string>& sentences,
                   bool single) {
  struct Score {
    std::size_t right = 0;
    std::size_t found = 0;
  };
  Score ours;
  Score icu;
  std::size_t wanted = 0;
  UErrorCode status = U_ZERO_ERROR;
  UBreakIterator* breaks = ubrk_open(UBRK_SENTENCE, "en", nullptr, 0, &status);
  ASSERT_TRUE(U_SUCCESS(status));
  for (std::size_t i = 0; i + 5 <= sentences.size(); i += 5) {
    std::string line;
    std::set<std::size_t> begins;
    for (std::size_t k = 0; k < 5; ++k) {
      if (k > 0) begins.insert(line.size() + 1);
      line += (k > 0 ? " " : "") + sentences[i + k];
    }
    wanted += begins.size();
    for (const text::SentenceBreak& found :
         text::find_sentence_breaks(line, text::find_spans(line), 0, line.size())) {
      ++ours.found;
      ours.right += begins.contains(found.next);
    }
    UText* text =
        utext_openUTF8(nullptr, line.data(), static_cast<std::int64_t>(line.size()), &status);
    ubrk_setUText(breaks, text, &status);
    for (std::int32_t at = ubrk_next(breaks); at != UBRK_DONE; at = ubrk_next(breaks)) {
      if (static_cast<std::size_t>(at) >= line.size()) continue;
      ++icu.found;
      icu.right += begins.contains(static_cast<std::size_t>(at));
    }
    utext_close(text);
  }
  ubrk_close(breaks);
  const auto print = [&](const char* who, const Score& score) {
    fmt::print("{:<12}{:<8} found {:.2f}%  right {:.2f}%\n", name, who,
               100.0 * static_cast<double>(score.right) / static_cast<double>(wanted),
               100.0 * static_cast<double>(score.right) / static_cast<double>(score.found));
  };
  print("nativo", ours);
  print("ICU", icu);
  EXPECT_GE(static_cast<double>(ours.right), 0.97 * static_cast<double>(wanted)) << name;
  if (single) {
    EXPECT_GE(static_cast<double>(ours.right), 0.98 * static_cast<double>(ours.found)) << name;
  }
}

TEST(SpansOnData, SentencesEndWherePeopleSay) {
  if (parallel_data().empty()) GTEST_SKIP() << "NATIVO_DATA is not set";
  for (const ParallelSet& set : prose_sets()) {
    if (set.name != "flores" && set.name != "pud") continue;
    std::vector<std::string> english;
    std::vector<std::string> italian;
    for (const auto& [a, b] : set.pairs) {
      english.push_back(a);
      italian.push_back(b);
    }
    sentence_ends(set.name + " en", english, set.name == "pud");
    sentence_ends(set.name + " it", italian, set.name == "pud");
  }
}

TEST(SpansOnData, Speed) {
  if (parallel_data().empty()) GTEST_SKIP() << "NATIVO_DATA is not set";
  const std::vector<std::string> texts = gpteacher_texts();
  std::size_t bytes = 0;
  std::size_t segments = 0;
  const std::clock_t begin = std::clock();
  for (const std::string& text : texts) {
    segments += text::split_segments(text, text::find_spans(text)).size();
    bytes += text.size();
  }
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  fmt::print("spans and segments: {:.1f} MB/s ({} texts, {} segments)\n",
             static_cast<double>(bytes) / 1e6 / seconds, texts.size(), segments);
  EXPECT_GT(static_cast<double>(bytes) / 1e6 / seconds, 5.0);
}

}  // namespace
}  // namespace nativo::translate
