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
#include "text/glossary.h"
#include "translate/engine_factory.h"
#include "translate/pieces.h"
#include "translate/prepare.h"

namespace nativo::translate {
namespace {

using data::Record;

/// What became of one message.
struct Outcome {
  std::string text;
  std::size_t sentences = 0;
  std::size_t words = 0;
  std::size_t unknown = 0;
  std::optional<Rejection> rejection;
};

/// One message of a record.
struct Job {
  std::size_t record;
  std::size_t turn;  ///< its place in the conversation
  std::string_view role;
  std::string* content;
  Prepared prepared;
  Outcome outcome;
};

void add_jobs(std::size_t index, Record& record, std::vector<Job>& jobs) {
  for (std::size_t turn = 0; turn < record.messages.size(); ++turn) {
    data::Message& message = record.messages[turn];
    jobs.push_back({index, turn, message.role, &message.content, {}, {}});
  }
  if (record.messages.empty()) jobs.push_back({index, 0, {}, &record.text, {}, {}});
}

Formality formality_of(const std::string& option) {
  return option == "formal"     ? Formality::kFormal
         : option == "informal" ? Formality::kInformal
                                : Formality::kAny;
}

}  // namespace

void TranslateOptions::visit(config::Visitor& v) {
  v.value({.name = "engine", .help = "what translates", .choices = engine_names()}, engine);
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
  v.value({.name = "formality",
           .help = "how the reader is addressed (tu, Lei); a wish that language models follow",
           .choices = {"any", "informal", "formal"}},
          formality);
  v.value({.name = "localize_numbers", .help = "write 1,234.56 as 1.234,56 and 3.5 kg as 3,5 kg"},
          localize_numbers);
  v.value(
      {.name = "dates", .help = "\"us\": 03/25/2024 becomes 25/03/2024", .choices = {"keep", "us"}},
      dates);
  v.path({.name = "glossary", .help = "file of terms: source TAB target [TAB flags]"}, glossary);
  v.table({.name = "argos", .help = "Argos Translate's packages, when the engine is argos"}, argos);
  v.table({.name = "llm", .help = "the language model of engine \"llm\""}, llm);
}

struct RecordTranslator::State {
  TranslationEngine& engine;
  TranslateOptions options;
  std::string target;
  text::Glossary glossary;
  std::unordered_map<std::string, Translation> memory;

  /// Asks the engine for all sentences that are not in the memory yet, once each.
  void ask(std::span<const std::vector<Piece>> messages) {
    std::vector<Sentence> wanted;
    std::vector<std::string> keys;
    std::unordered_set<std::string> asked;
    for (const std::vector<Piece>& pieces : messages) {
      for (const Piece& piece : pieces) {
        if (!piece.sentence) continue;
        std::string key = memory_key(*piece.sentence);
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

  [[nodiscard]] PrepareRules rules() const {
    return {{options.localize_numbers, options.dates == "us"}, &glossary};
  }

  Outcome join(const Prepared& message, const std::vector<Piece>& pieces) {
    Outcome outcome;
    for (const Piece& piece : pieces) {
      if (!piece.sentence) {
        outcome.text += piece.verbatim;
        continue;
      }
      const Translation& translation = memory.at(memory_key(*piece.sentence));
      if (!translation.ok) {
        outcome.rejection = Rejection{
            "engine_failed",
            std::string(utf8_prefix(
                translation.reason.empty() ? piece.sentence->text : translation.reason, 200))};
        return outcome;
      }
      outcome.text += translation.text;
      outcome.words += translation.words;
      outcome.unknown += translation.unknown;
      ++outcome.sentences;
    }
    const auto proof = verify_prepared(message, outcome.text);
    if (!proof.ok()) outcome.rejection = proof.rejection();
    return outcome;
  }

  /// Translates the messages; those that come back damaged once more, cut finer. `contexts` is
  /// empty or has one for each.
  void translate(std::span<Job* const> jobs, std::span<const Context> contexts) {
    bool first = true;
    for (const Grain grain : grains_of(engine.unit())) {
      std::vector<std::vector<Piece>> messages;
      std::vector<Job*> open;
      for (std::size_t i = 0; i < jobs.size(); ++i) {
        if (!first && !jobs[i]->outcome.rejection) continue;
        open.push_back(jobs[i]);
        messages.push_back(cut(jobs[i]->prepared, grain));
        if (contexts.empty()) continue;
        for (Piece& piece : messages.back()) {
          if (piece.sentence) piece.sentence->context = &contexts[i];
        }
      }
      ask(messages);
      for (std::size_t i = 0; i < open.size(); ++i) {
        open[i]->outcome = join(open[i]->prepared, messages[i]);
      }
      first = false;
    }
  }

  /// All first messages together, then all second ones with what became of the first, and so on; a
  /// record is given up at its first rejected message.
  void translate_in_turns(std::span<Job> jobs, std::size_t records) {
    std::vector<std::vector<Turn>> before(records);
    std::vector<bool> given_up(records, false);
    for (std::size_t turn = 0;; ++turn) {
      std::vector<Job*> open;
      std::vector<Context> contexts;
      for (Job& job : jobs) {
        if (job.turn != turn || given_up[job.record]) continue;
        open.push_back(&job);
        contexts.push_back(
            {job.role, before[job.record], formality_of(options.formality), job.prepared.terms});
      }
      if (open.empty()) return;
      translate(open, contexts);
      for (const Job* job : open) {
        if (job->outcome.rejection) given_up[job->record] = true;
        before[job->record].push_back({std::string(job->role), *job->content, job->outcome.text});
      }
    }
  }

  void translate(std::span<Job> jobs, std::size_t records) {
    for (Job& job : jobs) job.prepared = prepare(*job.content, rules());
    if (engine.unit() == Unit::kMessage) {
      translate_in_turns(jobs, records);
      return;
    }
    std::vector<Job*> all;
    for (Job& job : jobs) all.push_back(&job);
    translate(all, {});
  }
};

RecordTranslator::RecordTranslator(TranslationEngine& engine, const TranslateOptions& options,
                                   std::string target)
    : state_(new State{
          engine,
          options,
          std::move(target),
          options.glossary.empty() ? text::Glossary() : text::Glossary::load(options.glossary),
          {}}) {}
RecordTranslator::~RecordTranslator() = default;

data::BlockResult RecordTranslator::translate(std::vector<Record> records) {
  State& state = *state_;
  std::vector<Job> jobs;
  for (std::size_t r = 0; r < records.size(); ++r) {
    if (records[r].lang == state.target || records[r].lang != state.options.from) continue;
    add_jobs(r, records[r], jobs);
  }
  state.translate(jobs, records.size());

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
    std::size_t localized = 0;
    std::size_t forced = 0;
    const std::size_t first = next;
    for (; next < jobs.size() && jobs[next].record == r; ++next) {
      const Outcome& outcome = jobs[next].outcome;
      if (outcome.rejection && !rejection) rejection = outcome.rejection;
      sum.sentences += outcome.sentences;
      sum.words += outcome.words;
      sum.unknown += outcome.unknown;
      localized += jobs[next].prepared.localized;
      forced += jobs[next].prepared.forced;
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
    if (localized > 0) detail["numbers_localized"] = localized;
    if (forced > 0) detail["terms"] = forced;
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
  const auto engine = make_engine(options.engine, options, target_language);
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
