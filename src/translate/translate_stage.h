// The stage "translate": records in the engine's source language become records in the target
// language, with every protected span proven intact; all others pass or are rejected with a reason.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/visitor.h"
#include "data/record.h"
#include "data/stage.h"
#include "translate/argos_engine.h"
#include "translate/checks.h"
#include "translate/engine.h"
#include "translate/ladder.h"
#include "translate/llm_engine.h"
#include "translate/router.h"

namespace nativo::translate {

/// [translate]
struct TranslateOptions {
  std::string engine = "apertium";
  std::vector<std::string> ladder = {};  ///< engines, the cheapest first; empty = `engine` alone
  std::string from = "en";
  std::int64_t block_rows = 200;
  double max_unknown = 0.5;
  std::int64_t workers = 2;
  ArgosOptions argos;
  std::string formality = "any";
  bool localize_numbers = false;
  std::string dates = "keep";
  std::string glossary = {};
  LlmOptions llm{};
  bool dedup_sources = true;  ///< the pipeline's business: it deduplicates before it translates
  std::string memory = {};    ///< folder of the translation memory; "" = in the run folder
  double round_trip = 0;
  std::string round_trip_engine = {};
  CheckOptions check = {};
  RouteOptions route = {};
  void visit(config::Visitor& v);

  /// The ladder, or the one engine.
  [[nodiscard]] std::vector<std::string> steps() const;
};

/// Raised when the same input gives other output.
inline constexpr std::int64_t kTranslateVersion = 5;

/// Where a run's translation finds what is not in its options.
struct TranslateSetting {
  std::string target;                               ///< language
  std::filesystem::path memory;                     ///< folder; "" = this process alone
  std::map<std::string, std::string> source_steps;  ///< [source.NAME] translate
};

/// Translates blocks of records; the same sentence is asked once of an engine. Not thread-safe.
class RecordTranslator {
 public:
  /// One engine. It must outlive this.
  RecordTranslator(TranslationEngine& engine, const TranslateOptions& options, std::string target);
  /// A ladder; the steps' engines, `router` (null = all begin at the first step), `memory` and
  /// `back` (null = no round trip) must outlive this.
  RecordTranslator(std::vector<LadderStep> steps, const TranslateOptions& options,
                   std::string target, const Router* router, TranslationMemory* memory,
                   TranslationEngine* back);
  ~RecordTranslator();
  RecordTranslator(const RecordTranslator&) = delete;
  RecordTranslator& operator=(const RecordTranslator&) = delete;

  /// Records in the target language pass unchanged. Translated ones get a new id, lang = target and
  /// a lineage entry: docs/formats/record.md. Rejects: no_engine_for_language, and the failures
  /// that Ladder::climb names; with more than one step, a rejected record's lineage has them all.
  /// Order is kept.
  [[nodiscard]] data::BlockResult translate(std::vector<data::Record> records);

  /// Segments that engines were asked for, and that were known, so far.
  [[nodiscard]] AskedCounts counts() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Runs the stage over `input` into `folder`. `frequencies` may be empty when nothing is routed.
/// The manifest's detail names engines, versions, from and to, and counts rows by step, failures by
/// step and rule, letters of the translation for one of the source (in tenths) and scores of the
/// round trip (in fives), those that failed included; what happened to a record is in its lineage
/// (none of this stage: it passed unchanged). Throws Error when an engine is not there
/// (kMissingInput) or breaks (kIo).
data::Manifest run_translate(const data::fs::path& folder, const data::StageSpec& spec,
                             data::RecordReader& input, const TranslateOptions& options,
                             const TranslateSetting& setting, const WordFrequencies& frequencies,
                             io::Disk& disk = io::posix_disk());

}  // namespace nativo::translate
