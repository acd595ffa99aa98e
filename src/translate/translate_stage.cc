#include "translate/translate_stage.h"

#include <fmt/core.h>

#include <cmath>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "text/protected_spans.h"
#include "text/segments.h"
#include "translate/apertium_engine.h"

namespace nativo::translate {
namespace {

using data::Record;

/// How carefully a message is translated: whole sentences, or only what lies between protected
/// spans, which cannot lose them.
enum class Care { kSentences, kBetweenSpans };

/// A message cut up: what goes to the engine, and what stays.
struct Piece {
  std::string_view verbatim;         ///< when no sentence
  std::optional<Sentence> sentence;  ///< to translate
};

/// What an earlier sentence is found again by: its text and where its parts lie.
std::string sentence_key(const Sentence& sentence) {
  std::string key = sentence.text;
  for (const Part& part : sentence.parts) {
    key += fmt::format("{}{}:{}{}", '\0', part.begin, part.end, part.number ? "n" : "");
  }
  return key;
}

bool is_engine_text(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\t' && c != '\r') return false;
  }
  return is_valid_utf8(text);
}

bool has_word(std::string_view text) {
  std::size_t run = 0;
  for (const char c : text) {
    const bool letter =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0xC3;
    run = letter ? run + 1 : 0;
    if (run >= 2) return true;
  }
  return text.find(" a ") != std::string_view::npos || text.find("I ") != std::string_view::npos;
}

/// White space stays outside what the engine sees.
void add_between(std::string_view text, std::vector<Piece>& pieces) {
  const std::string_view core = trim(text);
  if (!has_word(core) || !is_engine_text(core)) {
    if (!text.empty()) pieces.push_back({text, std::nullopt});
    return;
  }
  const auto before = static_cast<std::size_t>(core.data() - text.data());
  if (before > 0) pieces.push_back({text.substr(0, before), std::nullopt});
  pieces.push_back({{}, Sentence{std::string(core), {}}});
  const std::string_view after = text.substr(before + core.size());
  if (!after.empty()) pieces.push_back({after, std::nullopt});
}

std::vector<Piece> cut(std::string_view text, Care care) {
  const std::vector<text::Span> spans = text::find_spans(text);
  std::vector<Piece> pieces;
  std::size_t next = 0;
  for (const text::Segment& segment : text::split_segments(text, spans)) {
    const std::string_view bytes = text.substr(segment.begin, segment.end - segment.begin);
    while (next < spans.size() && spans[next].end <= segment.begin) ++next;
    if (!segment.translatable || !is_engine_text(bytes)) {
      pieces.push_back({bytes, std::nullopt});
      continue;
    }
    if (care == Care::kSentences) {
      Sentence sentence{std::string(bytes), {}};
      for (std::size_t s = next; s < spans.size() && spans[s].end <= segment.end; ++s) {
        sentence.parts.push_back({spans[s].begin - segment.begin, spans[s].end - segment.begin,
                                  spans[s].kind == text::SpanKind::kNumber});
      }
      pieces.push_back({{}, std::move(sentence)});
      continue;
    }
    std::size_t at = segment.begin;
    for (std::size_t s = next; s < spans.size() && spans[s].end <= segment.end; ++s) {
      add_between(text.substr(at, spans[s].begin - at), pieces);
      pieces.push_back({text.substr(spans[s].begin, spans[s].end - spans[s].begin), std::nullopt});
      at = spans[s].end;
    }
    add_between(text.substr(at, segment.end - at), pieces);
  }
  return pieces;
}

/// What became of one message.
struct Outcome {
  std::string text;
  std::size_t sentences = 0;
  std::size_t words = 0;
  std::size_t unknown = 0;
  std::optional<Rejection> rejection;
};

std::vector<std::string*> contents(Record& record) {
  std::vector<std::string*> all;
  for (data::Message& message : record.messages) all.push_back(&message.content);
  if (record.messages.empty()) all.push_back(&record.text);
  return all;
}

}  // namespace

void TranslateOptions::visit(config::Visitor& v) {
  v.value({.name = "engine", .help = "what translates", .choices = {"apertium"}}, engine);
  v.value({.name = "from", .help = "language that is translated (ISO 639-1)"}, from);
  v.value({.name = "block_rows",
           .help = "rows translated between two points at which a run can be continued",
           .min = 1,
           .max = 1e6},
          block_rows);
  v.value({.name = "max_unknown",
           .help = "reject a record when a greater share of its words is unknown to the engine",
           .min = 0,
           .max = 1},
          max_unknown);
  v.value({.name = "workers", .help = "engine processes side by side", .min = 1, .max = 64},
          workers);
}

struct RecordTranslator::State {
  TranslationEngine& engine;
  TranslateOptions options;
  std::string target;
  std::unordered_map<std::string, Translation> memory;

  /// Asks the engine for all sentences that are not in the memory yet, once each.
  void ask(const std::vector<std::vector<Piece>>& messages) {
    std::vector<Sentence> wanted;
    std::vector<std::string> keys;
    std::unordered_set<std::string> asked;
    for (const std::vector<Piece>& pieces : messages) {
      for (const Piece& piece : pieces) {
        if (!piece.sentence) continue;
        std::string key = sentence_key(*piece.sentence);
        if (memory.contains(key) || !asked.insert(key).second) continue;
        wanted.push_back(*piece.sentence);
        keys.push_back(std::move(key));
      }
    }
    if (wanted.empty()) return;
    std::vector<Translation> answers = engine.translate(wanted);
    if (answers.size() != wanted.size()) {
      throw Error(ExitCode::kInternal,
                  fmt::format("translation engine {}: {} questions, {} answers", engine.name(),
                              wanted.size(), answers.size()));
    }
    for (std::size_t i = 0; i < answers.size(); ++i) {
      memory.insert_or_assign(std::move(keys[i]), std::move(answers[i]));
    }
  }

  Outcome join(std::string_view source, const std::vector<Piece>& pieces) {
    Outcome outcome;
    for (const Piece& piece : pieces) {
      if (!piece.sentence) {
        outcome.text += piece.verbatim;
        continue;
      }
      const Translation& translation = memory.at(sentence_key(*piece.sentence));
      if (!translation.ok) {
        outcome.rejection =
            Rejection{"engine_failed", std::string(utf8_prefix(piece.sentence->text, 200))};
        return outcome;
      }
      outcome.text += translation.text;
      outcome.words += translation.words;
      outcome.unknown += translation.unknown;
      ++outcome.sentences;
    }
    const auto proof = text::verify_protected(source, outcome.text);
    if (!proof.ok()) outcome.rejection = proof.rejection();
    return outcome;
  }
};

RecordTranslator::RecordTranslator(TranslationEngine& engine, const TranslateOptions& options,
                                   std::string target)
    : state_(new State{engine, options, std::move(target), {}}) {}
RecordTranslator::~RecordTranslator() = default;

data::BlockResult RecordTranslator::translate(std::vector<Record> records) {
  State& state = *state_;
  struct Job {
    std::size_t record;
    std::string* content;
    Outcome outcome;
  };
  std::vector<Job> jobs;
  for (std::size_t r = 0; r < records.size(); ++r) {
    if (records[r].lang == state.target || records[r].lang != state.options.from) continue;
    for (std::string* content : contents(records[r])) jobs.push_back({r, content, {}});
  }
  for (const Care care : {Care::kSentences, Care::kBetweenSpans}) {
    std::vector<std::vector<Piece>> messages;
    std::vector<Job*> open;
    for (Job& job : jobs) {
      if (care == Care::kBetweenSpans && !job.outcome.rejection) continue;
      open.push_back(&job);
      messages.push_back(cut(*job.content, care));
    }
    state.ask(messages);
    for (std::size_t i = 0; i < open.size(); ++i) {
      open[i]->outcome = state.join(*open[i]->content, messages[i]);
    }
  }

  data::BlockResult result;
  std::uint64_t translated = 0;
  std::uint64_t already = 0;
  std::size_t next = 0;
  for (std::size_t r = 0; r < records.size(); ++r) {
    Record& record = records[r];
    if (record.lang == state.target) {
      ++already;
      result.kept.push_back(std::move(record));
      continue;
    }
    if (record.lang != state.options.from) {
      std::string lang = record.lang;
      result.rejected.push_back(
          {std::move(record), {"no_engine_for_language", std::move(lang)}, {}, {}});
      continue;
    }
    std::optional<Rejection> rejection;
    Outcome sum;
    const std::size_t first = next;
    for (; next < jobs.size() && jobs[next].record == r; ++next) {
      const Outcome& outcome = jobs[next].outcome;
      if (outcome.rejection && !rejection) rejection = outcome.rejection;
      sum.sentences += outcome.sentences;
      sum.words += outcome.words;
      sum.unknown += outcome.unknown;
    }
    const double share =
        sum.words == 0 ? 0.0 : static_cast<double>(sum.unknown) / static_cast<double>(sum.words);
    if (!rejection && share > state.options.max_unknown) {
      rejection = Rejection{"too_many_unknown_words", fmt::format("{:.3f}", share)};
    }
    if (rejection) {
      result.rejected.push_back({std::move(record), std::move(*rejection), {}, {}});
      continue;
    }
    for (std::size_t j = first; j < next; ++j) *jobs[j].content = std::move(jobs[j].outcome.text);
    Json detail = Json::object();
    detail["engine"] = state.engine.name();
    detail["version"] = state.engine.version();
    detail["from"] = state.options.from;
    detail["source_id"] = record.id;
    detail["unknown_words"] = std::round(share * 1000.0) / 1000.0;
    detail["segments"] = sum.sentences;
    record.lang = state.target;
    record.id = data::content_id(record);
    data::add_lineage(record, "translate", std::move(detail));
    result.kept.push_back(std::move(record));
    ++translated;
  }
  result.counts = {{"translated", translated}, {"already_in_language", already}};
  return result;
}

data::Manifest run_translate(const data::fs::path& folder, const data::StageSpec& spec,
                             data::RecordReader& input, const TranslateOptions& options,
                             const std::string& target_language, io::Disk& disk) {
  if (auto missing = engine_unavailable(options.engine, options.from, target_language)) {
    throw *missing;
  }
  const auto engine = make_apertium_engine(
      apertium_setup(options.from, target_language, static_cast<std::size_t>(options.workers)));
  RecordTranslator translator(*engine, options, target_language);
  Json detail = Json::object();
  detail["engine"] = engine->name();
  detail["version"] = engine->version();
  detail["from"] = options.from;
  detail["to"] = target_language;
  return data::run_blocks(
      folder, spec, input, static_cast<std::size_t>(options.block_rows),
      [&](std::vector<Record> rows) { return translator.translate(std::move(rows)); },
      std::move(detail), disk);
}

}  // namespace nativo::translate
