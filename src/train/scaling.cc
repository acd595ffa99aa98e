#include "train/scaling.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "model/lora.h"
#include "model/recompute.h"
#include "train/flops.h"
#include "train/optimizer.h"
#include "train/training_memory.h"

namespace nativo::train {
namespace {

constexpr double kGiga = 1e9;
constexpr double kMicro = 1e-6;
constexpr double kMessageSeconds = 1e-6;  ///< assumed: to post one of many messages at once
constexpr double kDigestRate = 1.8e9;     ///< bytes a second of SHA-256 on one core with its own
                                          ///< instructions, as `openssl speed sha256` shows them
constexpr double kSumBytes = 4.0;         ///< a gradient between nodes is a partial sum in f32
constexpr int kSmallCollectives = 6;      ///< a step's: loss, sources twice, norm, finite, stop

/// What a rank reads and writes of each number that it updates: the weight, its gradient (which is
/// cleared, too) and both moments.
double update_bytes(const TrainOptions& options, double number_bytes, double numbers) {
  const auto state = static_cast<double>(state_bytes(
      state_type_from_option(options.optimizer_state), static_cast<std::int64_t>(numbers)));
  return 4.0 * number_bytes * numbers + 2.0 * state;
}

/// Operations that the backward pass does again, for one row: see model/recompute.h.
double recomputed_flops(const model::DecoderConfig& config, model::Recompute rung, double positions,
                        double keys) {
  const auto layers = static_cast<double>(config.layers);
  const auto width = static_cast<double>(config.hidden_size);
  double flops = 0.0;
  if (rung >= model::Recompute::kFeedForward) {
    flops += 4.0 * layers * width * static_cast<double>(config.intermediate_size) * positions;
  }
  if (rung >= model::Recompute::kAttention) {
    flops += 2.0 * layers * width * static_cast<double>(config.qkv_width()) * positions;
    flops += 4.0 * static_cast<double>(config.q_width()) * keys;
  }
  if (rung >= model::Recompute::kBlock) {
    flops += 2.0 * layers * width * static_cast<double>(config.q_width()) * positions;
  }
  return flops;
}

class Estimator {
 public:
  Estimator(const model::DecoderConfig& config, const TrainOptions& options,
            const LoraTableOptions& lora, const DistOptions& dist, const Cluster& cluster)
      : config_(config), options_(options), dist_(dist), cluster_(cluster) {
    const bool has_adapters = options.method != "full";
    if (dist.tensor != 1) {
      throw Error(ExitCode::kConfig, "dist.tensor: an estimate knows data parallel grids alone",
                  "--set dist.tensor=1; nativo memory --ranks N knows what the others hold");
    }
    if (has_adapters) {
      adapters_ = static_cast<double>(
          model::lora_parameter_count(model::resolve_lora(lora.lora, config), config));
    }
    trained_ = has_adapters ? adapters_ : static_cast<double>(config.parameter_count());
    own_ = dist.zero >= 1 ? trained_ / ranks() : trained_;
    const TrainingMemory memory = training_memory(config, options, lora,
                                                  {.ranks = cluster.ranks(),
                                                   .zero = dist.zero,
                                                   .tensor = 1,
                                                   .per_node = cluster.ranks_per_node});
    memory_ = bytes_in_memory(memory);
  }

  ScalingEstimate run() {
    ScalingEstimate result;
    StepTime& time = result.time;
    const std::int64_t rows = std::max<std::int64_t>(1, options_.batch_tokens / options_.seq_len);
    result.rows = (rows + cluster_.ranks() - 1) / cluster_.ranks();
    result.idle_ranks = rows < cluster_.ranks();
    result.memory = memory_;
    result.fits =
        device().memory_gib <= 0.0 || static_cast<double>(memory_) <= device().memory_gib * 0x1p30;

    const auto length = static_cast<double>(options_.seq_len);
    const double keys = keys_seen(config_, options_.seq_len);
    const double useful = step_flops(config_, adapters_, {length, length, keys});
    const model::TrainingShape shape = training_shape(options_);
    const double row = useful + recomputed_flops(config_, shape.recompute, length, keys);
    time.compute = compute_seconds(row, rows, result.rows);
    exchange(time, result.rows);
    time.update = update_bytes(options_, number_bytes(), own_) / update_rate(rank_copies());
    if (cluster_.ranks() > 1) {
      if (dist_.zero >= 1) time.gather = gather_seconds(trained_);
      if (dist_.zero >= 3 && adapters_ == 0.0) gather_blocks(time, result.rows);
      time.small = kSmallCollectives * latency();
    }
    time.step = time.compute + time.exposed + time.update + time.gather + time.small;
    save(time);
    time.step += time.save;

    const double tokens = static_cast<double>(rows) * length;
    result.tokens_per_second = tokens / time.step;
    result.utilisation =
        useful * static_cast<double>(rows) / (time.step * device().tflops * 1e12 * devices());
    return result;
  }

 private:
  [[nodiscard]] const Device& device() const { return cluster_.device; }
  [[nodiscard]] double ranks() const { return static_cast<double>(cluster_.ranks()); }
  [[nodiscard]] double in_node() const { return static_cast<double>(cluster_.ranks_per_node); }
  [[nodiscard]] double nodes() const { return static_cast<double>(cluster_.nodes); }
  [[nodiscard]] bool shares_cores() const { return device().cores > 0; }
  [[nodiscard]] double number_bytes() const { return static_cast<double>(device().number_bytes); }
  /// Devices or cores at work.
  [[nodiscard]] double devices() const {
    const double busy =
        shares_cores() ? std::min(in_node(), static_cast<double>(device().cores)) : in_node();
    return nodes() * busy;
  }
  /// Ranks on one core.
  [[nodiscard]] double crowd() const {
    return shares_cores() ? std::max(1.0, in_node() / static_cast<double>(device().cores)) : 1.0;
  }

  /// The plan is of numbers in f32; of a device that holds them in fewer bytes it takes as much
  /// less, but for the optimizer's state and what is of the program.
  [[nodiscard]] std::size_t bytes_in_memory(const TrainingMemory& memory) const {
    constexpr std::array<std::string_view, 4> kAsPlanned = {"program", "buffers", "optimizer state",
                                                            "snapshot"};
    std::array<double, kPhaseNames.size()> sums{};
    for (const MemoryPurpose& purpose : memory.purposes) {
      const bool as_planned = std::ranges::find(kAsPlanned, purpose.name) != kAsPlanned.end();
      const double scale = as_planned ? 1.0 : number_bytes() / 4.0;
      for (std::size_t i = 0; i < sums.size(); ++i) {
        sums[i] += scale * static_cast<double>(purpose.bytes[i]);
      }
    }
    return static_cast<std::size_t>(*std::ranges::max_element(sums));
  }

  /// Rows that share cores are as fast as the cores together; one rank's go one after the other.
  [[nodiscard]] double compute_seconds(double row_flops, std::int64_t rows,
                                       std::int64_t busiest) const {
    const double rate = device().tflops * 1e12;
    const double alone = static_cast<double>(busiest) * row_flops / rate;
    if (!shares_cores()) return alone;
    const double of_node = std::ceil(static_cast<double>(rows) / nodes());
    return std::max(alone, of_node * row_flops / (rate * static_cast<double>(device().cores)));
  }

  /// Seconds that a collective takes whatever its size.
  [[nodiscard]] double latency() const {
    double seconds = device().node_latency_us * kMicro * crowd();
    if (cluster_.nodes > 1) {
      seconds += cluster_.link_latency_us * kMicro * crowd() + (nodes() - 1.0) * kMessageSeconds;
    }
    return seconds;
  }

  /// What `bytes` of every rank take to be summed into each rank's part, or gathered from the
  /// parts.
  [[nodiscard]] double within_node(double bytes) const {
    const double others = in_node() - 1.0;
    const double rate = device().node_gbs * kGiga;
    return shares_cores() ? others * bytes / rate : others / in_node() * bytes / rate;
  }
  [[nodiscard]] double across(double bytes) const {
    if (cluster_.nodes == 1) return 0.0;
    return (nodes() - 1.0) / nodes() * bytes / (cluster_.link_gbs * kGiga);
  }
  /// One collective for each layer, one each for embeddings, last norm and head.
  [[nodiscard]] double collectives() const { return static_cast<double>(config_.layers) + 3.0; }

  [[nodiscard]] double gather_seconds(double numbers) const {
    // Parameters are not in memory that the node shares: on cores they pass through it.
    const double copies = shares_cores() ? 2.0 : 1.0;
    const double bytes = number_bytes() * numbers;
    return copies * within_node(bytes) + across(bytes) + collectives() * latency();
  }

  /// Embeddings and head, which every rank has whole. None of adapters.
  [[nodiscard]] double whole_numbers() const {
    if (adapters_ > 0.0) return 0.0;
    return static_cast<double>((config_.tie_embeddings ? 1 : 2) * config_.vocab_size *
                               config_.hidden_size);
  }

  [[nodiscard]] double micro_batches(std::int64_t busiest) const {
    return std::ceil(static_cast<double>(busiest) /
                     static_cast<double>(training_shape(options_).rows));
  }

  /// Stage 3: a block's parameters come before its forward and its backward pass of every
  /// micro-batch, while the block before is computed.
  void gather_blocks(StepTime& time, std::int64_t busiest) const {
    const double blocks = 2.0 * micro_batches(busiest) * gather_seconds(trained_ - whole_numbers());
    time.gather = gather_seconds(whole_numbers()) +
                  (shares_cores() ? blocks : std::max(0.0, blocks - time.compute));
  }

  void exchange(StepTime& time, std::int64_t busiest) const {
    if (cluster_.ranks() == 1) return;
    const double passes = micro_batches(busiest);
    // From stage 2 on a layer's gradients cross in every micro-batch, those of embeddings and head
    // once; else all cross once, during the last one.
    const double once = whole_numbers();
    const double times = dist_.zero >= 2 && adapters_ == 0.0 ? passes : 1.0;
    const double numbers = times * (trained_ - once) + once;
    time.exchange = within_node(number_bytes() * numbers) + across(kSumBytes * numbers) +
                    times * collectives() * latency();
    if (dist_.zero == 0) time.exchange += gather_seconds(trained_);
    if (shares_cores()) {
      time.exposed = time.exchange;
      return;
    }
    // The sums begin in the backward pass, two thirds of the arithmetic; the embeddings' at its
    // end.
    const double hidden = 2.0 / 3.0 * time.compute * times / passes;
    const double last =
        adapters_ > 0.0 ? 1.0 / collectives()
                        : static_cast<double>(config_.vocab_size * config_.hidden_size) / numbers;
    time.exposed = std::max(time.exchange * last, time.exchange - hidden);
  }

  /// Ranks whose memory traffic shares a core's.
  [[nodiscard]] double rank_copies() const { return crowd(); }
  [[nodiscard]] double update_rate(double crowd) const {
    return device().update_gbs * kGiga / crowd;
  }

  /// Copied while training waits, then digested by each rank and written by all through the file
  /// system while it goes on; the next save waits for the one before.
  void save(StepTime& time) const {
    if (options_.checkpoint_every <= 0) return;
    const auto every = static_cast<double>(options_.checkpoint_every);
    const double state = static_cast<double>(state_bytes(
        state_type_from_option(options_.optimizer_state), static_cast<std::int64_t>(trained_)));
    const double all = kSumBytes * trained_ + state;  // checkpoints hold weights in f32
    const double mine = all / ranks();
    const double copy = 2.0 * mine / update_rate(crowd());
    const double write = std::max(mine / kDigestRate, all / (cluster_.disk_gbs * kGiga));
    const double wait =
        options_.background_checkpoints ? copy + std::max(0.0, write - every * time.step) : write;
    time.save = wait / every;
  }

  const model::DecoderConfig& config_;
  const TrainOptions& options_;
  const DistOptions& dist_;
  const Cluster& cluster_;
  double adapters_ = 0.0;  ///< elements; 0 = none
  double trained_ = 0.0;   ///< elements
  double own_ = 0.0;       ///< of them, what a rank updates
  std::size_t memory_ = 0;
};

}  // namespace

ScalingEstimate estimate_step(const model::DecoderConfig& config, const TrainOptions& options,
                              const LoraTableOptions& lora, const DistOptions& dist,
                              const Cluster& cluster) {
  return Estimator(config, options, lora, dist, cluster).run();
}

}  // namespace nativo::train
