#include "pipeline/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/strings.h"
#include "config/config_file.h"
#include "io/file.h"
#include "io/run_lock.h"
#include "pipeline/training.h"
#include "report/report.h"
#include "text/tokenizer.h"
#include "translate/review.h"

namespace nativo::pipeline {
namespace {

bool is_complete(const Step& step) { return fs::exists(step.folder / "manifest.json"); }

/// Rows must not vanish between stages either: what one wrote is what the next one read.
void check_row_chain(const Step& step, const std::vector<Step>& steps) {
  const data::Manifest mine = data::read_manifest(step.folder);
  if (step.needs.empty() || mine.rows_in == 0) return;
  const auto upstream = std::find_if(steps.begin(), steps.end(),
                                     [&](const Step& s) { return s.name == step.needs.front(); });
  if (upstream == steps.end()) return;
  const data::Manifest theirs = data::read_manifest(upstream->folder);
  const auto records = theirs.outputs.find("records");
  if (records != theirs.outputs.end() && records->second != mine.rows_in) {
    throw Error(ExitCode::kInternal,
                fmt::format("{} read {} rows but {} wrote {}", step.name, mine.rows_in,
                            upstream->name, records->second),
                "remove " + step.folder.native() + " and run again; please report this");
  }
}

void announce(const Step& step, std::string_view action, double seconds) {
  const data::Manifest manifest = data::read_manifest(step.folder);
  std::string what =
      manifest.rows_in > 0 ? summary(manifest) : manifest.detail.value("summary", "done");
  log::info("{:<13} {:<7} {}  ({})", step.name, action, printable(what), human_duration(seconds));
}

}  // namespace

RunContext::RunContext(PipelineOptions run_options)
    : options(std::move(run_options)),
      folder(options.run.dir),
      digests(fs::path(options.run.dir) / "digests.json") {}

fs::path tuned_model_folder(const fs::path& run_folder) { return run_folder / "train" / "model"; }

Pipeline::Pipeline(PipelineOptions options)
    : context_(std::make_shared<RunContext>(std::move(options))) {
  context_->options.check_training();
  steps_.push_back(ingest_step(context_));
  steps_.push_back(tokenizer_step(context_));
  const bool dedup_sources = context_->options.translate.dedup_sources;
  if (dedup_sources) steps_.push_back(dedup_sources_step(context_, "ingest"));
  steps_.push_back(translate_step(context_, dedup_sources ? "dedup_sources" : "ingest"));
  steps_.push_back(filter_step(context_, "translate", /*with_tokenizer=*/true));
  steps_.push_back(dedup_step(context_, "filter"));
  steps_.push_back(mix_step(context_, "dedup"));
  if (!context_->options.model.preset().empty()) steps_.push_back(base_step(context_));
  steps_.push_back(train_step(context_));
  steps_.push_back(eval_step(context_));
}

Pipeline::Pipeline(PipelineOptions options, std::string_view only_stage)
    : context_(std::make_shared<RunContext>(std::move(options))) {
  steps_.push_back(ingest_step(context_));
  const bool with_tokenizer = !context_->options.model.tokenizer.empty();
  if (with_tokenizer) steps_.push_back(tokenizer_step(context_));
  if (only_stage == "translate") {
    steps_.push_back(translate_step(context_, "ingest"));
  } else if (only_stage == "filter") {
    steps_.push_back(filter_step(context_, "ingest", with_tokenizer));
  } else if (only_stage == "dedup") {
    steps_.push_back(dedup_step(context_, "ingest"));
  } else if (only_stage == "mix") {
    steps_.push_back(mix_step(context_, "ingest"));
  } else {
    throw Error(ExitCode::kUsage, fmt::format("stage {} cannot run on its own input", only_stage),
                "use it with -c nativo.toml");
  }
}

std::vector<std::string> Pipeline::step_names() const {
  std::vector<std::string> names;
  for (const Step& step : steps_) names.push_back(step.name);
  return names;
}

void Pipeline::run(std::string_view until, dist::Communicator* ranks) {
  use_threads(context_->options.run.threads, ranks);
  if (ranks == nullptr || ranks->size() == 1) return run_steps(until);
  context_->options.check_training(ranks->size());
  context_->ranks = ranks;
  ranks->set_timeout(0.0);  // the others wait as long as the first works alone
  if (!ranks->is_root()) return follow();
  run_steps(until);
  static_cast<void>(dist::broadcast_text(*ranks, "", 0));  // no more to come to
}

// What the other ranks do: the steps that the first one calls them to.
void Pipeline::follow() {
  while (true) {
    const std::string name = dist::broadcast_text(*context_->ranks, "", 0);
    if (name.empty()) return;
    const auto step = std::ranges::find(steps_, name, &Step::name);
    NATIVO_CHECK(step != steps_.end(), "all ranks have the same steps");
    step->run({.name = name, .key = {}, .version = 1, .options = {}});
  }
}

void Pipeline::run_step(const Step& step, const data::StageSpec& spec) {
  if (step.all_ranks && context_->ranks != nullptr) {
    static_cast<void>(dist::broadcast_text(*context_->ranks, step.name, 0));
  }
  step.run(spec);
}

void Pipeline::run_steps(std::string_view until) {
  io::posix_disk().make_folders(context_->folder);
  const io::RunLock lock(context_->folder);
  io::write_file_atomically(context_->folder / "nativo.lock.toml",
                            config::to_toml(context_->options));
  const double start = monotonic_seconds();
  for (const Step& step : steps_) {
    stop_if_interrupted();
    const data::StageSpec spec = step.spec();
    context_->digests.save();
    const double step_start = monotonic_seconds();
    const bool reuse = data::is_complete(step.folder, spec.key, /*verify=*/false);
    if (!reuse) {
      run_step(step, spec);
      check_row_chain(step, steps_);
    }
    announce(step, reuse ? "reused" : "done", monotonic_seconds() - step_start);
    if (step.name == "translate") write_translation_review(step, spec.key);
    if (step.name == until) return;
  }
  if (until.empty()) {
    report::write_report(context_->folder, context_->folder / "report.html");
    log::info("{:<13} {:<7} {}  (run: {})", "report", "done",
              (context_->folder / "report.html").native(),
              human_duration(monotonic_seconds() - start));
  }
}

void Pipeline::write_translation_review(const Step& translate, const std::string& key) const {
  constexpr std::size_t kPairs = 12;
  const fs::path path = context_->folder / "translation-review.json";
  if (fs::exists(path)) {
    const Json there = Json::parse(io::read_file(path), nullptr, /*allow_exceptions=*/false);
    if (there.is_object() && there.value("key", Json()) == Json(key)) return;
  }
  io::write_file_atomically(
      path, dump_json_pretty(translate::review_translations(
                translate.folder, context_->stage(translate.needs.front()), kPairs)));
}

Forecast Pipeline::forecast() {
  if (context_->options.translate.steps().size() < 2) return {};
  const auto translate = std::ranges::find(steps_, "translate", &Step::name);
  if (translate == steps_.end()) return {};
  const Step* tokenizer_step = nullptr;
  const Step* records = nullptr;
  Forecast forecast;
  for (auto step = steps_.begin(); step != translate; ++step) {
    const bool done =
        is_complete(*step) && data::is_complete(step->folder, step->spec().key, /*verify=*/false);
    if (step->name == "tokenizer") {  // not on the records' way
      if (done) tokenizer_step = &*step;
    } else if (done && forecast.pending.empty()) {
      records = &*step;
    } else if (forecast.pending.empty()) {
      forecast.pending = step->name;
    }
  }
  if (records == nullptr) return forecast;
  // A tokenizer of this run before it is made: the one that it will be made of.
  fs::path path = context_->options.model.tokenizer;
  if (tokenizer_step != nullptr) {
    path = tokenizer_step->folder;
  } else if (path.empty() && context_->options.model.preset().empty()) {
    path = context_->options.model.base;
  }
  std::optional<text::Tokenizer> tokenizer;
  if (!path.empty()) tokenizer.emplace(path);
  forecast.steps =
      forecast_routes(context_->options, records->folder, tokenizer ? &*tokenizer : nullptr);
  forecast.tokenizer = path.native();
  return forecast;
}

void Pipeline::run_part(std::string_view name, data::StagePart part) {
  if (name != "translate" && name != "filter") {
    throw Error(ExitCode::kUsage, fmt::format("stage {} is not made in blocks of its own", name),
                "translate and filter are");
  }
  NATIVO_CHECK(part.index < part.count, "a part is one of several");
  use_threads(context_->options.run.threads, nullptr);
  io::posix_disk().make_folders(context_->folder);
  const io::RunLock lock(context_->folder, io::RunLock::Kind::kTogether);
  for (const Step& step : steps_) {
    data::StageSpec spec = step.spec();
    const bool complete = data::is_complete(step.folder, spec.key, /*verify=*/false);
    if (step.name != name) {
      if (complete) continue;
      throw Error(ExitCode::kMissingInput,
                  fmt::format("the step {} is not done or not up to date", step.name),
                  fmt::format("do it first, on one node: nativo {} -c FILE", step.name));
    }
    if (complete) {
      log::info("{:<10} is complete already", step.name);
      return;
    }
    spec.part = part;
    step.run(spec);
    log::info("{:<10} part {} of {} is done", step.name, part.index, part.count);
    return;
  }
}

std::string Pipeline::grid() const { return grid_line(context_->options); }

std::vector<PlanLine> Pipeline::plan() {
  std::vector<PlanLine> lines;
  std::vector<std::string> running;
  for (const Step& step : steps_) {
    const auto waits_for =
        std::find_if(step.needs.begin(), step.needs.end(), [&](const auto& name) {
          return std::find(running.begin(), running.end(), name) != running.end();
        });
    PlanLine line;
    if (waits_for != step.needs.end()) {
      line = {step.name, "run",
              "when " + *waits_for + " has run" +
                  (is_complete(step) ? ", if that changes its output" : "")};
    } else {
      line = plan_step(step, step.spec());
    }
    if (line.action != "reuse") running.push_back(step.name);
    lines.push_back(std::move(line));
  }
  if (fs::exists(context_->folder)) context_->digests.save();
  return lines;
}

}  // namespace nativo::pipeline
