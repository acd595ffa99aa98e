#include "train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/heartbeat.h"
#include "base/json.h"
#include "base/log.h"
#include "base/strings.h"
#include "train/checkpoint.h"
#include "train/data_parallel.h"
#include "train/flops.h"
#include "train/monitor.h"
#include "train/neighbour_memory.h"
#include "train/optimizer.h"
#include "train/option_check.h"
#include "train/plan.h"
#include "train/schedule.h"
#include "train/spikes.h"
#include "train/step.h"
#include "train/training_memory.h"

namespace nativo::train {
namespace {

constexpr std::uint64_t kHeldoutSeed = 0;  // any fixed one: packing must not change the loss

// Everything that one run of train() works with.
class Run {
 public:
  explicit Run(const TrainInput& input)
      : input_(input),
        options_(input.options),
        policy_(spike_policy(options_.on_spike)),
        plan_(input.train, options_, input.decoder.config()),
        schedule_(make_schedule(options_, plan_.steps())),
        parallel_(input.grid, input.decoder, input.dist.zero,
                  gradient_crossing_from_option(input.dist.gradient_type)),
        optimizer_(std::as_const(input.decoder).trainable(), adamw_settings(options_),
                   parallel_.updated_slices()),
        store_(input.dir, input.key, options_.keep, input.disk, &parallel_) {
    check_together(options_, parallel_.grid().world().size());
    parallel_.grid().set_timeout(input.dist.timeout);
    // One rank, too: it may be what is left of several.
    const bool is_lone_gpu = parallel_.is_alone() && input.decoder.numbers().device.is_cuda();
    if (input.dist.neighbour_every > 0 && is_lone_gpu) {
      log::warn("dist.neighbour_every: one GPU alone leaves no copies of its state in memory");
    } else if (input.dist.neighbour_every > 0) {
      memory_.emplace(parallel_, input.dir, input.key, input.dist.neighbour_dir);
    }
    optimizer_.observe([this](std::span<const std::byte> bytes) {
      waiting_for_disk([&] { store_.before_change(bytes); });
      if (memory_) memory_->before_change(bytes);
    });
  }

  TrainResult run() {
    const auto resumed =
        store_.load(input_.decoder, optimizer_, memory_ ? &*memory_ : nullptr, input_.extra_files);
    if (resumed) {
      state_ = *resumed;
      protect_rollback_target();
      if (parallel_.is_root()) {
        log::info("{}: resuming after step {} of {}", input_.label, state_.step, plan_.steps());
      }
    }
    store_.evict();  // a kill may have come between a save and its eviction
    last_saved_ = resumed ? state_.step : -1;
    seconds_before_ = state_.seconds;
    started_ = monotonic_seconds();
    if (!is_over() || state_.evaluation_due) {
      if (parallel_.is_root()) {
        monitor_.emplace(
            MonitorSettings{.label = input_.label,
                            .dir = input_.dir,
                            .steps = plan_.steps(),
                            .gemm_rate = input_.gemm_rate * parallel_.grid().world().size(),
                            .disk = input_.disk},
            last_saved_);
      }
      event(resumed ? "resume" : "start");
      parallel_.gradients().enable(training_shape(options_).gradients);
      if (!resumed) begin();
      tell_saved();  // what was in memory
      if (state_.evaluation_due) finish_evaluation();
      loop();
      if (memory_) memory_->clear();
    }
    take_best();
    event("end");
    show_life(heartbeat::Phase::kEnd);
    return {.steps = state_.step,
            .resumed_from = resumed ? resumed->step : 0,
            .rows = static_cast<std::int64_t>(plan_.packing().rows.size()),
            .targets = plan_.packing().targets,
            .tokens = state_.tokens,
            .skipped = plan_.packing().skipped,
            .skipped_steps = state_.skipped,
            .rollbacks = state_.rollbacks,
            .seconds = state_.seconds,
            .step_seconds = state_.step_seconds,
            .first_loss = state_.first_loss,
            .loss = state_.loss,
            .first_eval_loss = state_.first_eval_loss,
            .eval_loss = state_.eval_loss,
            .first_base_eval_loss = state_.first_base_eval_loss,
            .base_eval_loss = state_.base_eval_loss,
            .evaluations = state_.evaluations,
            .best = state_.best};
  }

 private:
  // What comes before the first step of all.
  void begin() {
    const Heldout heldout = evaluate_heldout();
    if (heldout == Heldout::kStopped) stop();
    if (heldout == Heldout::kMeasured) {
      state_.first_eval_loss = state_.eval_loss;
      state_.first_base_eval_loss = state_.base_eval_loss;
      state_.seconds = monotonic_seconds() - started_;
      if (monitor_) monitor_->before_training(state_);
    }
    if (policy_ == SpikePolicy::kRollback) save();  // the first steps may have to be taken back too
  }

  void loop() {
    while (!is_over()) {
      const std::int64_t step = state_.step + 1;
      const double begun = monotonic_seconds();
      show_life(heartbeat::Phase::kTrain);
      const std::vector<const Row*> rows = plan_.rows(step, state_.row_offset);
      const auto outcome = run_batch(input_.decoder, parallel_, input_.train, rows, options_, step,
                                     input_.should_stop, weight_update(step).by_layers());
      if (!outcome) stop();
      waiting_for_disk([&] { store_.check(); });
      tell_saved();
      state_.tokens += outcome->tokens;
      const auto spike = find_spike(*outcome, step, rows, input_.train, state_.recent_losses,
                                    options_.spike_sigma);
      if (spike) note(*spike);
      if (spike && policy_ == SpikePolicy::kRollback) {
        roll_back(step);
        continue;
      }
      spike ? skip() : update(*outcome, step);
      state_.step = step;
      StepFacts facts{.batch = batch_digest(input_.train, rows),
                      .lr = schedule_.learning_rate(step),
                      .seconds = monotonic_seconds() - begun,
                      .flops = step_flops(input_.decoder, rows, outcome->targets)};
      state_.step_seconds += facts.seconds;
      const bool is_last = step == plan_.steps();
      const Heldout heldout =
          is_due(options_.eval_every, step, is_last) ? evaluate() : Heldout::kNothing;
      facts.evaluated = heldout == Heldout::kMeasured;
      state_.evaluation_due = heldout == Heldout::kStopped;
      state_.seconds = seconds_before_ + monotonic_seconds() - started_;
      if (monitor_) monitor_->step(state_, *outcome, facts);
      if (state_.evaluation_due) stop();
      save_if_due();
      copy_if_due();
      if (!is_over() && must_stop()) stop();
    }
  }

  // All steps are done, or enough of them.
  bool is_over() const {
    if (state_.step == plan_.steps()) return true;
    return options_.patience > 0 && state_.best &&
           state_.evaluations - state_.best->number >= options_.patience;
  }

  void save_if_due() {
    if (is_over()) return save_and_wait();
    const bool is_best = state_.best && state_.best->step == state_.step;
    if (is_best || is_due(options_.checkpoint_every, state_.step, /*is_last=*/false)) save();
  }

  void copy_if_due() {
    if (!memory_ || is_over() || state_.step % input_.dist.neighbour_every != 0) return;
    // Where nothing but the copy is left of a step, its best one must be on the disk.
    const bool best_is_last_saved =
        state_.best && state_.best->step < state_.step && state_.best->step == last_saved_;
    if (best_is_last_saved && store_.is_writing()) return;
    memory_->take(state_.step, store_.state_text(state_), input_.decoder, optimizer_);
  }

  // On all ranks when on any.
  bool must_stop() {
    const bool mine = input_.should_stop && input_.should_stop();
    return parallel_.is_alone() ? mine : dist::any_rank(parallel_.grid().world(), mine);
  }

  void event(std::string_view name, const Json& detail = Json::object()) {
    if (monitor_) monitor_->event(name, state_.step, detail);
  }

  // What all ranks fail with alike. None ends before the first has written what it has to: the
  // launcher would take that one down, too.
  [[noreturn]] void fail(const Error& error) {
    if (memory_) memory_->clear();
    parallel_.grid().world().barrier();
    if (parallel_.is_root()) throw Error(error);
    throw Error(error.code(), "");
  }

  static bool is_due(std::int64_t every, std::int64_t step, bool is_last) {
    return is_last || (every > 0 && step % every == 0);
  }

  WeightUpdate weight_update(std::int64_t step) {
    return {.decoder = input_.decoder,
            .parallel = parallel_,
            .optimizer = optimizer_,
            .number = state_.updates + 1,
            .lr = schedule_.learning_rate(step),
            .in_backward = options_.optimizer_in_backward};
  }

  void update(const StepOutcome& outcome, std::int64_t step) {
    weight_update(step).finish(outcome.gradient_norm);
    if (state_.updates == 0) state_.first_loss = outcome.loss;
    ++state_.updates;
    state_.loss = outcome.loss;
    remember_loss(state_.recent_losses, outcome.loss);
  }

  // Says and records what is wrong with a batch; throws when nothing more is to be done about it.
  void note(const Spike& spike) {
    const bool too_many = state_.skipped + state_.rollbacks >= options_.max_spikes;
    const bool stops = policy_ == SpikePolicy::kStop || too_many;
    Json json = to_json(spike);
    json["action"] = stops ? "stop" : options_.on_spike;
    if (!stops && policy_ == SpikePolicy::kRollback) json["to"] = rollback_target(spike.step);
    if (monitor_) {
      if (!stops) monitor_->add_spike(json);
      json.erase("step");
      monitor_->event("spike", spike.step, json);
    }
    if (policy_ == SpikePolicy::kStop) {
      fail(Error(ExitCode::kData, describe(spike),
                 "look at these examples; lower train.lr or train.clip_norm, or let train.on_spike "
                 "= \"skip\" or \"rollback\" pass over them"));
    }
    if (too_many) {
      fail(Error(ExitCode::kData,
                 fmt::format("{}; this is more than train.max_spikes = {}", describe(spike),
                             options_.max_spikes),
                 "so many are no accident: lower train.lr, or look at the data and the model"));
    }
    if (!parallel_.is_root()) return;
    log::warn("{}; {}", describe(spike),
              policy_ == SpikePolicy::kSkip
                  ? std::string("its update is left out")
                  : fmt::format("back to step {}", rollback_target(spike.step)));
  }

  void skip() { ++state_.skipped; }

  // The newest regular checkpoint before `step`. Those that a stop left do not count: a run that
  // was never stopped does not have them.
  std::int64_t rollback_target(std::int64_t step) const {
    const std::int64_t every = options_.checkpoint_every;
    return every > 0 ? (step - 1) / every * every : 0;
  }

  void protect_rollback_target() {
    if (policy_ == SpikePolicy::kRollback) store_.protect(rollback_target(state_.step + 1));
  }

  void roll_back(std::int64_t spiked) {
    const TrainState before = state_;
    if (memory_) memory_->forget();
    const auto loaded = store_.load_at(input_.decoder, optimizer_, rollback_target(spiked));
    if (!loaded) {
      fail(Error(ExitCode::kData,
                 fmt::format("{}: no whole checkpoint of step {} to roll back to",
                             printable(input_.dir.native()), rollback_target(spiked)),
                 "train.on_spike = \"skip\" needs none"));
    }
    state_ = *loaded;
    state_.row_offset = plan_.offset_behind(spiked, before.row_offset, state_.step + 1);
    state_.skipped = before.skipped;
    state_.rollbacks = before.rollbacks + 1;
    state_.tokens = before.tokens;
    state_.step_seconds = before.step_seconds;
    last_saved_ = state_.step;
    if (monitor_) monitor_->go_back(state_.step);
  }

  void show_life(heartbeat::Phase phase) const {
    heartbeat::progress(phase, state_.step, plan_.steps());
  }

  enum class Heldout { kNothing, kMeasured, kStopped };

  Heldout evaluate_heldout() {
    show_life(heartbeat::Phase::kEvaluate);
    // Ranks that share a batch could not break it off at different places: they measure to the end.
    const std::function<bool()> stop =
        parallel_.grid().tensor().size() == 1 ? input_.should_stop : std::function<bool()>();
    const auto measure = [&](const std::vector<Example>& examples) {
      return heldout_loss(input_.decoder, examples, options_.seq_len, options_.micro_batch,
                          &parallel_.grid().data(), stop);
    };
    const HeldoutLoss heldout = measure(input_.heldout);
    if (heldout.stopped) return Heldout::kStopped;
    const HeldoutLoss base = measure(input_.base_heldout);
    if (base.stopped) return Heldout::kStopped;
    state_.eval_loss = heldout.mean;
    state_.base_eval_loss = base.mean;
    return heldout.mean || base.mean ? Heldout::kMeasured : Heldout::kNothing;
  }

  // The held-out losses of a step.
  Heldout evaluate() {
    const Heldout heldout = evaluate_heldout();
    if (heldout == Heldout::kMeasured) note_evaluation();
    return heldout;
  }

  void note_evaluation() {
    if (!options_.keep_best) {
      state_.evaluations = 0;
      state_.best.reset();
      return;
    }
    if (!state_.eval_loss) return;
    ++state_.evaluations;
    const bool is_best =
        std::isfinite(*state_.eval_loss) && (!state_.best || *state_.eval_loss < state_.best->loss);
    if (!is_best) return;
    state_.best = Evaluation{.step = state_.step,
                             .number = state_.evaluations,
                             .loss = *state_.eval_loss,
                             .base_loss = state_.base_eval_loss};
  }

  // The decoder gets the weights of the best step; what the last one's were is in its checkpoint.
  void take_best() {
    if (!options_.keep_best) state_.best.reset();
    if (!state_.best || state_.evaluations < 2) return;
    const Evaluation& best = *state_.best;
    if (best.step != state_.step && !store_.load_at(input_.decoder, optimizer_, best.step)) {
      fail(Error(ExitCode::kData,
                 fmt::format("{}: the checkpoint of step {}, the best of {} evaluations, is gone",
                             printable(input_.dir.native()), best.step, state_.evaluations),
                 "train.keep_best = false makes the last step's model the result"));
    }
    if (!parallel_.is_root()) return;
    if (monitor_) {
      monitor_->event("best", best.step,
                      {{"eval_loss", best.loss}, {"evaluations", state_.evaluations}});
    }
    log::info("{}: the best of {} evaluations: step {}, {:.4f}{}", input_.label, state_.evaluations,
              best.step, best.loss,
              best.step == state_.step
                  ? std::string()
                  : fmt::format(" ({:.4f} at the end, step {}); its weights are the result",
                                state_.eval_loss.value_or(best.loss), state_.step));
    if (state_.first_eval_loss && best.loss >= *state_.first_eval_loss) {
      log::warn("{}: no step's held-out loss is below the {:.4f} before training", input_.label,
                *state_.first_eval_loss);
    }
  }

  // What a stop has cut short; then all is as if there had been none.
  void finish_evaluation() {
    if (evaluate() == Heldout::kStopped) stop();
    state_.evaluation_due = false;
    state_.seconds = seconds_before_ + monotonic_seconds() - started_;
    if (monitor_) monitor_->evaluated(state_);
    save_if_due();
  }

  void save() {
    if (!options_.background_checkpoints) return save_and_wait();
    show_life(heartbeat::Phase::kSave);
    if (monitor_) monitor_->sync();
    waiting_for_disk(
        [&] { store_.wait(); });  // what is being written has something else to protect
    protect_rollback_target();
    waiting_for_disk(
        [&] { store_.save_in_background(state_, input_.decoder, optimizer_, input_.extra_files); });
    last_saved_ = state_.step;
    tell_saved();
  }

  // Before an end there is nothing to go on with meanwhile.
  void save_and_wait() {
    show_life(heartbeat::Phase::kSave);
    if (monitor_) monitor_->sync();
    waiting_for_disk(
        [&] { store_.wait(); });  // what is being written has something else to protect
    protect_rollback_target();
    waiting_for_disk([&] { store_.save(state_, input_.decoder, optimizer_, input_.extra_files); });
    last_saved_ = state_.step;
    tell_saved();
  }

  template <class Body>
  void waiting_for_disk(const Body& body) {
    const double begun = monotonic_seconds();
    body();
    stalled_ += monotonic_seconds() - begun;
  }

  // Checkpoints are events when they are on the disk.
  void tell_saved() {
    for (const std::int64_t step : store_.take_written()) {
      if (monitor_) monitor_->event("checkpoint", step, {{"stall_seconds", stalled_}});
      stalled_ = 0.0;
    }
  }

  // A step that was begun is forgotten: it is run again, whole.
  [[noreturn]] void stop() {
    if (state_.step > 0 && last_saved_ != state_.step) save_and_wait();
    store_.wait();
    tell_saved();
    event("stop");
    fail(Error(ExitCode::kTryAgain,
               state_.step == 0
                   ? std::string("training stopped before its first step was done")
                   : fmt::format("training stopped after step {} of {}; its checkpoint is saved",
                                 state_.step, plan_.steps()),
               "run the same command again to continue"));
  }

  const TrainInput& input_;
  const TrainOptions& options_;
  SpikePolicy policy_;
  TrainPlan plan_;
  Schedule schedule_;
  DataParallel parallel_;
  Optimizer optimizer_;
  CheckpointStore store_;
  std::optional<NeighbourMemory> memory_;
  std::optional<Monitor> monitor_;  // of the first rank, while there is something to train
  TrainState state_;
  std::int64_t last_saved_ = -1;
  double stalled_ = 0.0;  // that training has waited for the checkpoint being written
  double seconds_before_ = 0.0;
  double started_ = 0.0;
};

}  // namespace

TrainResult train(const TrainInput& input) { return Run(input).run(); }

HeldoutLoss heldout_loss(model::Decoder& decoder, const std::vector<Example>& examples,
                         std::int64_t seq_len, std::int64_t micro_batch, dist::Communicator* ranks,
                         const std::function<bool()>& stop) {
  const Packing packing = pack(examples, seq_len, decoder.config().vocab_size, kHeldoutSeed);
  std::vector<const Row*> rows;
  for (const Row& row : packing.rows) rows.push_back(&row);
  const std::span<const Row* const> all(rows);
  const auto micro = static_cast<std::size_t>(micro_batch);
  const std::size_t batches = (rows.size() + micro - 1) / micro;
  const std::size_t first = ranks == nullptr ? 0 : static_cast<std::size_t>(ranks->rank());
  const std::size_t stride = ranks == nullptr ? 1 : static_cast<std::size_t>(ranks->size());
  std::vector<double> losses(batches);
  std::vector<std::int64_t> targets(batches + 1);  // and how many ranks were stopped
  const std::size_t rounds = (batches + stride - 1) / stride;
  for (std::size_t round = 0; round < rounds; ++round) {
    const std::size_t i = first + round * stride;
    bool goes_on = i < batches && targets[batches] == 0;
    if (goes_on && round > 0 && stop && stop()) {
      targets[batches] = 1;
      goes_on = false;
    }
    if (!goes_on) {  // others may
      decoder.attend_forward();
      continue;
    }
    heartbeat::tick();
    const auto part = all.subspan(i * micro, std::min(micro, rows.size() - i * micro));
    const model::LossSum loss = decoder.forward(make_batch(examples, part, seq_len));
    losses[i] = loss.loss;
    targets[i] = loss.targets;
  }
  if (ranks != nullptr) {  // each batch is one rank's
    ranks->all_reduce(std::span(losses));
    ranks->all_reduce(std::span(targets));
  }
  if (targets[batches] > 0) return {.mean = std::nullopt, .stopped = true};
  model::LossSum sum;
  for (std::size_t i = 0; i < batches; ++i) {
    sum.loss += losses[i];
    sum.targets += targets[i];
  }
  if (sum.targets == 0) return {};
  return {.mean = sum.loss / static_cast<double>(sum.targets)};
}

}  // namespace nativo::train
