// The steps of a run in their order, from sources to the report. The only place that knows it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dist/communicator.h"
#include "pipeline/digest_cache.h"
#include "pipeline/options.h"
#include "pipeline/step.h"

namespace nativo::text {
class Tokenizer;
}

namespace nativo::pipeline {

/// What one step of the translation's ladder is expected to get first.
struct RouteForecast {
  std::string step;
  std::uint64_t rows = 0;
  std::uint64_t words = 0;                            ///< words and marks (text/words.h)
  std::uint64_t tokens = 0;                           ///< of the source texts alone
  std::map<std::string, std::uint64_t> reasons = {};  ///< rows by what weighed most, or "source"
};

/// Characters of an English instruction set that one token of Mistral's tokenizer holds: mean of
/// 3.97 (Dolly), 3.20 (GPTeacher, half of it code) and 2.72 (GSM8K, half of it digits).
inline constexpr double kCharactersPerToken = 3.3;

/// The whole ladder.
struct Forecast {
  std::vector<RouteForecast> steps = {};
  std::string tokenizer = {};  ///< what counted the tokens, a path; "" = they are estimated
  std::string pending = {};    ///< the first step before the translation that has yet to run
};

/// Routes the records of the finished stage in `stage` as the translation would. What fails a check
/// there goes one step up: that only the run can say. Without a tokenizer (null) the tokens are
/// estimated by kCharactersPerToken. Throws Error for a rule that makes no sense.
[[nodiscard]] std::vector<RouteForecast> forecast_routes(const PipelineOptions& options,
                                                         const fs::path& stage,
                                                         const text::Tokenizer* tokenizer);

/// What every step of one run shares.
struct RunContext {
  PipelineOptions options;
  fs::path folder;  ///< the run folder
  DigestCache digests;
  dist::Communicator* ranks = nullptr;  ///< of Pipeline::run; null = alone

  explicit RunContext(PipelineOptions run_options);
  [[nodiscard]] fs::path stage(std::string_view name) const { return folder / "stages" / name; }
};

/// A run: its options and its steps.
class Pipeline {
 public:
  /// All steps: ingest, tokenizer, dedup_sources (if translate.dedup_sources), translate, filter,
  /// dedup, mix, base (init: only), train, eval.
  explicit Pipeline(PipelineOptions options);
  /// A single data stage (translate, filter, dedup, mix) fed by the sources, in a folder of its
  /// own.
  Pipeline(PipelineOptions options, std::string_view only_stage);

  /// Brings every step up to `until` ("" = all, and the report) up to date, printing a line a step.
  /// Holds the run folder's lock; writes nativo.lock.toml. Throws Error. With several `ranks` all
  /// call it; the first does everything, the others come to the trainings.
  void run(std::string_view until = "", dist::Communicator* ranks = nullptr);

  /// How the translation would divide its rows, a line a step of the ladder, and none when there is
  /// one step only, or no records yet. Reads all records of the last step that is up to date: when
  /// another one stands before the translation (`pending`), they may be more than it will get.
  [[nodiscard]] Forecast forecast();

  /// Makes one part of the blocks of the stage `name`, as one of several processes at once; run()
  /// joins them later. Every step before it must be up to date: Error(kMissingInput) names the
  /// first that is not, Error(kUsage) a stage that has no blocks.
  void run_part(std::string_view name, data::StagePart part);

  /// What run() would do. Reads, writes nothing but the digest cache.
  [[nodiscard]] std::vector<PlanLine> plan();

  /// How several ranks would share out the training; see grid_line().
  [[nodiscard]] std::string grid() const;

  [[nodiscard]] const fs::path& folder() const { return context_->folder; }
  [[nodiscard]] std::vector<std::string> step_names() const;

 private:
  void run_steps(std::string_view until);
  void follow();
  void run_step(const Step& step, const data::StageSpec& spec);
  /// translation-review.json in the run folder, for the report, unless it is that of `key` already.
  void write_translation_review(const Step& translate, const std::string& key) const;

  std::shared_ptr<RunContext> context_;
  std::vector<Step> steps_;
};

/// Where a finished run keeps the model that `nativo chat` and `nativo export` use.
[[nodiscard]] fs::path tuned_model_folder(const fs::path& run_folder);

/// Builders of the steps, by kind. Data stages read the records of `input` (a stage's name).
[[nodiscard]] Step ingest_step(const std::shared_ptr<RunContext>& context);
[[nodiscard]] Step tokenizer_step(const std::shared_ptr<RunContext>& context);
[[nodiscard]] Step dedup_sources_step(const std::shared_ptr<RunContext>& context,
                                      std::string input);
[[nodiscard]] Step translate_step(const std::shared_ptr<RunContext>& context, std::string input);
[[nodiscard]] Step filter_step(const std::shared_ptr<RunContext>& context, std::string input,
                               bool with_tokenizer);
[[nodiscard]] Step dedup_step(const std::shared_ptr<RunContext>& context, std::string input);
[[nodiscard]] Step mix_step(const std::shared_ptr<RunContext>& context, std::string input);
[[nodiscard]] Step base_step(const std::shared_ptr<RunContext>& context);
[[nodiscard]] Step train_step(const std::shared_ptr<RunContext>& context);
[[nodiscard]] Step eval_step(const std::shared_ptr<RunContext>& context);

/// The folder of the model that the run starts from: the user's, or the one made by base_step.
[[nodiscard]] fs::path base_model_folder(const RunContext& context);

}  // namespace nativo::pipeline
