#include "translate/translate_stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "text/glossary.h"
#include "translate/engine_factory.h"
#include "translate/translation_memory.h"

namespace nativo::translate {
namespace {

using data::Record;

double rounded(double value) { return std::round(value * 1000.0) / 1000.0; }

/// The lower edge of a tenth, as the manifest's histogram has it; longer than 3 to 1 is one bucket.
std::string ratio_bucket(double ratio) {
  return fmt::format("{:.1f}", std::floor(std::min(ratio, 3.0) * 10.0) / 10.0);
}

/// The lower edge of five points.
std::string round_trip_bucket(double score) {
  return fmt::format("{:.0f}", 5.0 * std::floor(std::min(score, 99.0) / 5.0));
}

/// Puts the translation in the place of what was translated.
void put_contents(Record& record, std::vector<std::string> contents) {
  if (record.messages.empty()) {
    record.text = std::move(contents.front());
    return;
  }
  for (std::size_t i = 0; i < contents.size(); ++i) {
    record.messages[i].content = std::move(contents[i]);
  }
}

}  // namespace

void TranslateOptions::visit(config::Visitor& v) {
  v.value({.name = "engine", .help = "what translates", .choices = engine_names()}, engine);
  v.value(
      {.name = "ladder",
       .help = "engines from the cheapest to the best: a record whose translation fails a check "
               "goes one up; empty = engine alone"},
      ladder);
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
  v.value({.name = "dedup_sources",
           .help = "drop equal and nearly equal records (by [dedup]) before they are translated"},
          dedup_sources);
  v.path({.name = "memory",
          .help = "folder of what was translated before, shared by runs and tasks; empty = "
                  "translation-memory in the run folder"},
         memory);
  v.value({.name = "round_trip",
           .help = "translate back, and fail when chrF2 with the source is below; 0 = do not",
           .min = 0,
           .max = 100},
          round_trip);
  v.value({.name = "round_trip_engine", .help = "what translates back; empty = the first step"},
          round_trip_engine);
  v.table({.name = "argos", .help = "Argos Translate's packages, when the engine is argos"}, argos);
  v.table({.name = "llm", .help = "the language model of engine \"llm\""}, llm);
  v.table({.name = "check", .help = "what makes a translation fail"}, check);
  v.table({.name = "route", .help = "which step of the ladder a record begins at"}, route);
}

std::vector<std::string> TranslateOptions::steps() const {
  return ladder.empty() ? std::vector<std::string>{engine} : ladder;
}

struct RecordTranslator::State {
  std::vector<LadderStep> steps;
  TranslateOptions options;
  std::string target;
  const Router* router;
  TranslationMemory own_memory;  ///< where none is given
  TranslationMemory& memory;
  text::Glossary glossary;
  Ladder ladder;

  State(std::vector<LadderStep> all, const TranslateOptions& translate_options,
        std::string language, const Router* with_router, TranslationMemory* with_memory,
        TranslationEngine* back)
      : steps(std::move(all)),
        options(translate_options),
        target(std::move(language)),
        router(with_router),
        memory(with_memory == nullptr ? own_memory : *with_memory),
        glossary(options.glossary.empty() ? text::Glossary()
                                          : text::Glossary::load(options.glossary)),
        ladder(steps, options, target, rules(), memory, back) {}

  [[nodiscard]] PrepareRules rules() const {
    return {{options.localize_numbers, options.dates == "us"}, &glossary};
  }

  [[nodiscard]] Json detail(const Record& record, const Climb& climb, const Route& route) const {
    const TranslationEngine& engine = *steps[climb.step].engine;
    Json detail = {{"engine", engine.name()},
                   {"version", engine.version()},
                   {"from", options.from},
                   {"source_id", record.id},
                   {"unknown_words", rounded(climb.unknown_words)},
                   {"segments", climb.sentences},
                   {"length_ratio", rounded(climb.length_ratio)}};
    if (climb.numbers_localized > 0) detail["numbers_localized"] = climb.numbers_localized;
    if (climb.terms > 0) detail["terms"] = climb.terms;
    if (climb.wraps > 0) detail["wraps"] = climb.wraps;
    if (climb.cuts > 0) detail["cuts"] = climb.cuts;
    if (climb.round_trip) detail["round_trip"] = rounded(*climb.round_trip);
    add_path(climb, route, detail);
    return detail;
  }

  /// Which steps, and why: only where there is more than one.
  void add_path(const Climb& climb, const Route& route, Json& detail) const {
    if (steps.size() < 2) return;
    detail["step"] = steps[climb.step].name;
    if (router != nullptr && router->decides()) detail["route"] = to_json(route, router->steps());
    if (!climb.failures.empty()) detail["failures"] = to_json(climb.failures);
  }

  [[nodiscard]] Json count(std::span<const Climb> climbs) const {
    Json counts = Json::object();
    const auto add = [](Json& place) {
      place = place.is_null() ? std::uint64_t{1} : place.get<std::uint64_t>() + 1;
    };
    for (const Climb& climb : climbs) {
      for (const StepFailure& failure : climb.failures) {
        add(counts["failures"][failure.step][failure.reason.rule]);
      }
      if (climb.round_trip) add(counts["round_trip"][round_trip_bucket(*climb.round_trip)]);
      if (climb.rejected) continue;
      add(counts["rows_by_step"][steps[climb.step].name]);
      if (climb.length_ratio > 0) add(counts["length_ratio"][ratio_bucket(climb.length_ratio)]);
    }
    return counts;
  }
};

RecordTranslator::RecordTranslator(TranslationEngine& engine, const TranslateOptions& options,
                                   std::string target)
    : RecordTranslator({{engine.name(), &engine}}, options, std::move(target), nullptr, nullptr,
                       nullptr) {}
RecordTranslator::RecordTranslator(std::vector<LadderStep> steps, const TranslateOptions& options,
                                   std::string target, const Router* router,
                                   TranslationMemory* memory, TranslationEngine* back)
    : state_(std::make_unique<State>(std::move(steps), options, std::move(target), router, memory,
                                     back)) {}
RecordTranslator::~RecordTranslator() = default;

AskedCounts RecordTranslator::counts() const { return state_->ladder.counts(); }

data::BlockResult RecordTranslator::translate(std::vector<Record> records) {
  State& state = *state_;
  state.memory.refresh();
  std::vector<const Record*> wanted;
  std::vector<std::size_t> starts;
  std::vector<Route> routes;
  for (const Record& record : records) {
    if (record.lang == state.target || record.lang != state.options.from) continue;
    wanted.push_back(&record);
    routes.push_back(state.router == nullptr ? Route{} : state.router->route(record));
    starts.push_back(routes.back().step);
  }
  std::vector<Climb> climbs = state.ladder.climb(wanted, starts);

  data::BlockResult result;
  std::uint64_t already = 0;
  std::size_t next = 0;
  for (Record& record : records) {
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
    Climb& climb = climbs[next];
    const Route& route = routes[next++];
    if (climb.rejected) {
      Rejection reason = climb.failures.back().reason;
      if (state.steps.size() > 1) {
        Json path = {{"from", state.options.from}};
        state.add_path(climb, route, path);
        data::add_lineage(record, "translate", std::move(path));
      }
      result.rejected.push_back({std::move(record), std::move(reason), {}, {}});
      continue;
    }
    Json detail = state.detail(record, climb, route);
    put_contents(record, std::move(climb.contents));
    record.lang = state.target;
    record.id = data::content_id(record);
    data::add_lineage(record, "translate", std::move(detail));
    result.kept.push_back(std::move(record));
  }
  result.counts = state.count(climbs);
  result.counts["translated"] = static_cast<std::uint64_t>(
      std::ranges::count_if(climbs, [](const Climb& climb) { return !climb.rejected; }));
  result.counts["already_in_language"] = already;
  return result;
}

data::Manifest run_translate(const data::fs::path& folder, const data::StageSpec& spec,
                             data::RecordReader& input, const TranslateOptions& options,
                             const TranslateSetting& setting, const WordFrequencies& frequencies,
                             io::Disk& disk) {
  const std::vector<std::string> names = options.steps();
  const Router router(options.route, names, setting.source_steps, frequencies);
  std::vector<std::unique_ptr<TranslationEngine>> engines;
  std::vector<LadderStep> steps;
  Json detail = {{"engine", Json::array()}, {"version", Json::array()}};
  for (const std::string& name : names) {
    engines.push_back(make_engine(name, options, setting.target));
    steps.push_back({name, engines.back().get()});
    detail["engine"].push_back(engines.back()->name());
    detail["version"].push_back(engines.back()->version());
  }
  if (names.size() == 1) {
    detail = {{"engine", engines.front()->name()}, {"version", engines.front()->version()}};
  }
  if (options.formality != "any" && std::ranges::none_of(engines, [](const auto& engine) {
        return engine->unit() == Unit::kMessage;
      })) {
    log::warn("translate.formality = \"{}\" is a wish to language models, and {} is none",
              options.formality, fmt::join(names, ", "));
  }
  std::unique_ptr<TranslationEngine> back;
  if (options.round_trip > 0) {
    TranslateOptions reverse = options;
    reverse.from = setting.target;
    back =
        make_engine(options.round_trip_engine.empty() ? names.front() : options.round_trip_engine,
                    reverse, options.from);
  }
  TranslationMemory memory(setting.memory, disk);
  RecordTranslator translator(std::move(steps), options, setting.target, &router, &memory,
                              back.get());
  detail["from"] = options.from;
  detail["to"] = setting.target;
  data::Manifest manifest = data::run_blocks(
      folder, spec, input, static_cast<std::size_t>(options.block_rows),
      [&](std::vector<Record> rows) { return translator.translate(std::move(rows)); },
      std::move(detail), disk);
  // Not in the manifest, which is the same with and without a memory.
  const AskedCounts counts = translator.counts();
  if (counts.asked + counts.remembered > 0) {
    log::info("translate: {} segments asked for, {} known before", counts.asked, counts.remembered);
  }
  return manifest;
}

}  // namespace nativo::translate
