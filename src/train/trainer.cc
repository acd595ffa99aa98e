#include "train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/strings.h"
#include "train/checkpoint.h"
#include "train/metrics.h"
#include "train/optimizer.h"
#include "train/packer.h"
#include "train/schedule.h"

namespace nativo::train {
namespace {

constexpr std::uint64_t kHeldoutSeed = 0;  // any fixed one: packing must not change the loss

// The rows of a run as one endless stream, epoch after epoch.
class RowStream {
 public:
  RowStream(const Packing& packing, std::uint64_t seed) : packing_(packing), seed_(seed) {}

  const Row* row(std::int64_t index) {
    const auto rows = static_cast<std::int64_t>(packing_.rows.size());
    const std::int64_t epoch = index / rows;
    if (epoch != epoch_) {
      order_ = row_order(packing_.rows.size(), seed_, static_cast<std::uint64_t>(epoch));
      epoch_ = epoch;
    }
    return &packing_.rows[order_[static_cast<std::size_t>(index % rows)]];
  }

 private:
  const Packing& packing_;
  std::uint64_t seed_;
  std::int64_t epoch_ = -1;
  std::vector<std::size_t> order_;
};

// How many rows a step has and how many steps there are.
struct Plan {
  std::int64_t rows_per_step = 1;
  std::int64_t total_rows = 0;
  std::int64_t steps = 0;

  std::int64_t first_row(std::int64_t step) const { return (step - 1) * rows_per_step; }
  std::int64_t end_row(std::int64_t step) const {
    return std::min(step * rows_per_step, total_rows);
  }
};

Plan make_plan(const TrainOptions& options, std::int64_t rows) {
  Plan plan;
  plan.rows_per_step = options.batch_tokens / options.seq_len;
  if (options.max_steps > 0) {
    plan.steps = options.max_steps;
    plan.total_rows = plan.steps * plan.rows_per_step;
  } else {
    plan.total_rows = options.epochs * rows;
    plan.steps = (plan.total_rows + plan.rows_per_step - 1) / plan.rows_per_step;
  }
  return plan;
}

model::Recompute find_recompute(const TrainOptions& options) {
  const auto rung = model::recompute_from_name(options.recompute);
  if (!rung) {
    throw Error(ExitCode::kConfig,
                fmt::format("train.recompute: \"{}\" is none of {}", printable(options.recompute),
                            fmt::join(model::kRecomputeNames, ", ")));
  }
  return *rung;
}

void check_options(const TrainOptions& options, const model::DecoderConfig& config) {
  if (options.seq_len < 1 || options.micro_batch < 1 || options.epochs < 1) {
    throw Error(ExitCode::kConfig, "train: seq_len, micro_batch and epochs are at least 1");
  }
  if (options.batch_tokens < options.seq_len) {
    throw Error(ExitCode::kConfig,
                fmt::format("train.batch_tokens = {} is less than one row of train.seq_len = {}",
                            options.batch_tokens, options.seq_len),
                "raise batch_tokens or lower seq_len");
  }
  if (options.seq_len > config.max_positions) {
    throw Error(ExitCode::kConfig,
                fmt::format("train.seq_len = {} is beyond the model's {} positions",
                            options.seq_len, config.max_positions),
                "lower seq_len");
  }
}

// "a, b, c and 5 more".
std::string ids_of(const std::vector<Example>& examples, std::span<const Row* const> rows) {
  constexpr std::size_t kShown = 8;
  std::vector<std::string> ids;
  std::size_t count = 0;
  for (const Row* row : rows) {
    for (const Piece& piece : row->pieces) {
      if (++count <= kShown) ids.push_back(printable(examples[piece.example].id));
    }
  }
  const std::string listed = fmt::format("{}", fmt::join(ids, ", "));
  return count > kShown ? fmt::format("{} and {} more", listed, count - kShown) : listed;
}

[[noreturn]] void not_finite(std::int64_t step, const char* what, double value,
                             const std::vector<Example>& examples,
                             std::span<const Row* const> rows) {
  throw Error(
      ExitCode::kData,
      fmt::format("step {}: the {} is {}; examples: {}", step, what, value, ids_of(examples, rows)),
      "look at these examples; else lower train.lr or train.clip_norm");
}

struct StepOutcome {
  double loss = 0.0;
  double gradient_norm = 0.0;
  std::int64_t tokens = 0;
};

// Everything that one run of train() works with.
class Run {
 public:
  explicit Run(const TrainInput& input)
      : input_(input),
        options_(input.options),
        packing_(pack(input.train, options_.seq_len, input.decoder.config().vocab_size,
                      static_cast<std::uint64_t>(options_.seed))),
        plan_(make_plan(options_, static_cast<std::int64_t>(packing_.rows.size()))),
        schedule_(make_schedule(options_, plan_.steps)),
        stream_(packing_, static_cast<std::uint64_t>(options_.seed)),
        optimizer_(std::as_const(input.decoder).trainable(),
                   {.beta1 = options_.beta1,
                    .beta2 = options_.beta2,
                    .eps = options_.eps,
                    .weight_decay = options_.weight_decay,
                    .no_decay = options_.no_decay,
                    .clip_norm = options_.clip_norm,
                    .state = state_type_from_option(options_.optimizer_state),
                    .seed = static_cast<std::uint64_t>(options_.seed)}),
        recompute_(find_recompute(options_)),
        store_(input.dir, input.key, options_.keep, input.disk) {
    if (packing_.rows.empty()) {
      throw Error(ExitCode::kData, "there is nothing to train on: no example has a trained token",
                  "look at the filters' rejects and at train.train_on");
    }
  }

  TrainResult run() {
    const auto resumed = store_.load(input_.decoder, optimizer_);
    store_.evict();  // a kill may have come between a save and its eviction
    if (resumed) {
      state_ = *resumed;
      log::info("{}: resuming after step {} of {}", input_.label, state_.step, plan_.steps);
    }
    last_saved_ = resumed ? state_.step : -1;
    seconds_before_ = state_.seconds;
    started_ = monotonic_seconds();
    MetricsLog metrics(input_.dir / "metrics.jsonl", last_saved_, input_.disk);
    if (state_.step < plan_.steps) {
      // A step that is one batch needs no memory for gradients alone.
      input_.decoder.enable_gradients(plan_.rows_per_step <= options_.micro_batch
                                          ? model::GradientMemory::kShared
                                          : model::GradientMemory::kApart);
      loop(metrics);
    }
    return {.steps = plan_.steps,
            .resumed_from = resumed ? resumed->step : 0,
            .rows = static_cast<std::int64_t>(packing_.rows.size()),
            .targets = packing_.targets,
            .tokens = state_.tokens,
            .skipped = packing_.skipped,
            .seconds = state_.seconds,
            .first_loss = state_.first_loss,
            .loss = state_.loss,
            .first_eval_loss = state_.first_eval_loss,
            .eval_loss = state_.eval_loss};
  }

 private:
  void loop(MetricsLog& metrics) {
    Progress progress(input_.label, static_cast<std::uint64_t>(plan_.steps), "steps");
    progress.already(static_cast<std::uint64_t>(state_.step));
    if (last_saved_ < 0) evaluate_before_training(metrics);
    const std::int64_t tokens_before = state_.tokens;
    while (state_.step < plan_.steps) {
      const std::int64_t step = state_.step + 1;
      const double lr = schedule_.learning_rate(step);
      const StepOutcome outcome = run_step(step, lr);
      store_.check();
      state_.step = step;
      state_.tokens += outcome.tokens;
      state_.loss = outcome.loss;
      if (step == 1) state_.first_loss = outcome.loss;
      const bool is_last = step == plan_.steps;
      const bool evaluates = is_due(options_.eval_every, step, is_last) && evaluate_heldout();
      state_.seconds = seconds_before_ + monotonic_seconds() - started_;
      write_metrics(metrics, outcome, lr, evaluates);
      progress.advance();
      progress.note(fmt::format("loss {:.4f} · {:.0f} tokens/s", state_.loss,
                                static_cast<double>(state_.tokens - tokens_before) /
                                    std::max(state_.seconds - seconds_before_, 1e-9)));
      if (is_due(options_.checkpoint_every, step, is_last)) {
        is_last ? save_and_wait(metrics) : save(metrics);
      }
      if (!is_last && input_.should_stop && input_.should_stop()) {
        if (last_saved_ != step) save_and_wait(metrics);
        store_.wait();
        throw Error(ExitCode::kTryAgain,
                    fmt::format("training stopped after step {} of {}; its checkpoint is saved",
                                step, plan_.steps),
                    "run the same command again to continue");
      }
    }
  }

  static bool is_due(std::int64_t every, std::int64_t step, bool is_last) {
    return is_last || (every > 0 && step % every == 0);
  }

  bool evaluate_heldout() {
    const auto loss =
        evaluate(input_.decoder, input_.heldout, options_.seq_len, options_.micro_batch);
    if (loss) state_.eval_loss = loss;
    return loss.has_value();
  }

  void evaluate_before_training(MetricsLog& metrics) {
    if (!evaluate_heldout()) return;
    state_.first_eval_loss = state_.eval_loss;
    metrics.append({{"step", 0},
                    {"tokens", 0},
                    {"seconds", monotonic_seconds() - started_},
                    {"eval_loss", *state_.eval_loss}});
  }

  StepOutcome run_step(std::int64_t step, double lr) {
    std::vector<const Row*> rows;
    std::int64_t targets = 0;
    StepOutcome outcome;
    for (std::int64_t i = plan_.first_row(step); i < plan_.end_row(step); ++i) {
      rows.push_back(stream_.row(i));
      targets += count_targets(input_.train, *rows.back());
      outcome.tokens += rows.back()->used;
    }
    NATIVO_CHECK(targets > 0, "the packer keeps only pieces with targets");
    const std::span<const Row* const> all(rows);
    const auto micro = static_cast<std::size_t>(options_.micro_batch);
    const auto scale = static_cast<float>(1.0 / static_cast<double>(targets));
    model::Decoder& decoder = input_.decoder;
    decoder.zero_gradients();
    double loss = 0.0;
    for (std::size_t at = 0; at < rows.size(); at += micro) {
      const auto part = all.subspan(at, std::min(micro, rows.size() - at));
      model::Batch batch = make_batch(input_.train, part, options_.seq_len);
      batch.noise = {.seed = static_cast<std::uint64_t>(options_.seed),
                     .step = static_cast<std::uint32_t>(step),
                     .first_row = static_cast<std::int64_t>(at)};
      const model::LossSum sum =
          decoder.forward_backward(batch, {.scale = scale,
                                           .z_loss = options_.z_loss,
                                           .label_smoothing = options_.label_smoothing,
                                           .neftune_alpha = options_.neftune_alpha,
                                           .recompute = recompute_});
      if (!std::isfinite(sum.loss)) not_finite(step, "loss", sum.loss, input_.train, part);
      loss += sum.loss;
    }
    outcome.loss = loss / static_cast<double>(targets);
    outcome.gradient_norm = optimizer_.gradient_norm(std::as_const(decoder).trainable());
    if (!std::isfinite(outcome.gradient_norm)) {
      not_finite(step, "gradient's norm", outcome.gradient_norm, input_.train, all);
    }
    optimizer_.update(decoder.trainable(), step, lr, outcome.gradient_norm);
    return outcome;
  }

  void write_metrics(MetricsLog& metrics, const StepOutcome& outcome, double lr,
                     bool evaluated) const {
    Json line = {{"step", state_.step},
                 {"loss", outcome.loss},
                 {"lr", lr},
                 {"grad_norm", outcome.gradient_norm},
                 {"tokens", state_.tokens},
                 {"seconds", state_.seconds}};
    if (evaluated) line["eval_loss"] = *state_.eval_loss;
    metrics.append(line);
  }

  void save(MetricsLog& metrics) {
    if (!options_.background_checkpoints) return save_and_wait(metrics);
    metrics.sync();
    store_.save_in_background(state_, input_.decoder, optimizer_, input_.extra_files);
    last_saved_ = state_.step;
  }

  // Before an end there is nothing to go on with meanwhile.
  void save_and_wait(MetricsLog& metrics) {
    metrics.sync();
    store_.save(state_, input_.decoder, optimizer_, input_.extra_files);
    last_saved_ = state_.step;
  }

  const TrainInput& input_;
  const TrainOptions& options_;
  Packing packing_;
  Plan plan_;
  Schedule schedule_;
  RowStream stream_;
  Optimizer optimizer_;
  model::Recompute recompute_;
  CheckpointStore store_;
  TrainState state_;
  std::int64_t last_saved_ = -1;
  double seconds_before_ = 0.0;
  double started_ = 0.0;
};

}  // namespace

TrainResult train(const TrainInput& input) {
  check_options(input.options, input.decoder.config());
  return Run(input).run();
}

std::optional<double> evaluate(model::Decoder& decoder, const std::vector<Example>& examples,
                               std::int64_t seq_len, std::int64_t micro_batch) {
  const Packing packing = pack(examples, seq_len, decoder.config().vocab_size, kHeldoutSeed);
  std::vector<const Row*> rows;
  for (const Row& row : packing.rows) rows.push_back(&row);
  const std::span<const Row* const> all(rows);
  model::LossSum sum;
  for (std::size_t at = 0; at < rows.size(); at += static_cast<std::size_t>(micro_batch)) {
    const auto part =
        all.subspan(at, std::min(static_cast<std::size_t>(micro_batch), rows.size() - at));
    const model::LossSum loss = decoder.forward(make_batch(examples, part, seq_len));
    sum.loss += loss.loss;
    sum.targets += loss.targets;
  }
  if (sum.targets == 0) return std::nullopt;
  return sum.loss / static_cast<double>(sum.targets);
}

}  // namespace nativo::train
