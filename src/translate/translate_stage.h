// The stage "translate": records in the engine's source language become records in the target
// language, with every protected span proven intact; all others pass or are rejected with a reason.
#pragma once

#include <string>

#include "config/visitor.h"
#include "data/record.h"
#include "data/stage.h"
#include "translate/argos_engine.h"
#include "translate/engine.h"
#include "translate/llm_engine.h"

namespace nativo::translate {

/// [translate]
struct TranslateOptions {
  std::string engine = "apertium";
  std::string from = "en";
  std::int64_t block_rows = 200;
  double max_unknown = 0.5;
  std::int64_t workers = 2;
  ArgosOptions argos;
  std::string formality = "any";
  bool localize_numbers = false;
  std::string dates = "keep";
  std::string glossary;
  LlmOptions llm{};
  void visit(config::Visitor& v);
};

/// Raised when the same input gives other output.
inline constexpr std::int64_t kTranslateVersion = 2;

/// Translates blocks of records and remembers what it translated: the same sentence is asked once.
/// Not thread-safe.
class RecordTranslator {
 public:
  /// `engine` must outlive this. Throws Error when the glossary cannot be read (text/glossary.h).
  RecordTranslator(TranslationEngine& engine, const TranslateOptions& options, std::string target);
  ~RecordTranslator();
  RecordTranslator(const RecordTranslator&) = delete;
  RecordTranslator& operator=(const RecordTranslator&) = delete;

  /// Records in the target language pass unchanged. Translated ones get a new id, lang = target and
  /// a lineage entry {"stage", "engine", "version", "from", "source_id", "unknown_words",
  /// "segments"[, "numbers_localized", "terms"]}. Rejects: no_engine_for_language, engine_failed,
  /// protected_span_lost / _added / _moved, too_many_unknown_words. Order is kept.
  [[nodiscard]] data::BlockResult translate(std::vector<data::Record> records);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Runs the stage over `input` into `folder`. The manifest's detail names engine, version, from and
/// to; what happened to a record is in its lineage (none of this stage: it passed unchanged).
/// Throws Error when the engine is not there (kMissingInput) or breaks (kIo).
data::Manifest run_translate(const data::fs::path& folder, const data::StageSpec& spec,
                             data::RecordReader& input, const TranslateOptions& options,
                             const std::string& target_language, io::Disk& disk = io::posix_disk());

}  // namespace nativo::translate
