#include "train/scaling.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "dist/grid.h"
#include "model/decoder_ranks.h"
#include "model/lora.h"
#include "model/recompute.h"
#include "train/flops.h"
#include "train/gradient_sums.h"
#include "train/optimizer.h"
#include "train/training_memory.h"

namespace nativo::train {
namespace {

constexpr double kGiga = 1e9;
constexpr double kMicro = 1e-6;
constexpr double kMessageSeconds = 1e-6;  ///< assumed: to post one of many messages at once
constexpr double kDigestRate = 1.8e9;     ///< bytes a second of SHA-256 on one core with its own
                                          ///< instructions, as `openssl speed sha256` shows them
constexpr double kHostCopyRate = 1e10;    ///< assumed: bytes a second from a device to the host
constexpr double kSumBytes = 4.0;         ///< a number in f32
constexpr int kSmallCollectives = 6;      ///< a step's: loss, sources twice, norm, finite, stop
constexpr int kTensorCollectives = 2;     ///< what tensor-parallel ranks sum of gradients, and norm

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
      : config_(model::tensor_part(config, dist.tensor)),
        options_(options),
        dist_(dist),
        cluster_(cluster) {
    dist::require_grid(cluster.ranks(), dist.tensor);
    const auto trained_of = [&](const model::DecoderConfig& of) {
      if (options.method == "full") return static_cast<double>(of.parameter_count());
      return static_cast<double>(
          model::lora_parameter_count(model::resolve_lora(lora.lora, of), of));
    };
    trained_ = trained_of(config_);
    whole_trained_ = trained_of(config);
    if (options.method != "full") adapters_ = trained_;
    own_ = dist.zero >= 1 ? trained_ / data_ranks() : trained_;
    const auto length = static_cast<double>(options.seq_len);
    useful_ = step_flops(config, options.method == "full" ? 0.0 : whole_trained_,
                         {length, length, keys_seen(config, options.seq_len)});
    memory_ = bytes_in_memory(training_memory(
        config, options, lora, rank_count(cluster.ranks(), cluster.ranks_per_node, dist)));
  }

  ScalingEstimate run() {
    ScalingEstimate result;
    StepTime& time = result.time;
    const std::int64_t rows = std::max<std::int64_t>(1, options_.batch_tokens / options_.seq_len);
    const std::int64_t shares = cluster_.ranks() / dist_.tensor;
    result.rows = (rows + shares - 1) / shares;
    result.idle_ranks = rows < shares;
    result.memory = memory_;
    result.fits =
        device().memory_gib <= 0.0 || static_cast<double>(memory_) <= device().memory_gib * 0x1p30;

    const auto length = static_cast<double>(options_.seq_len);
    const double keys = keys_seen(config_, options_.seq_len);
    const model::TrainingShape shape = training_shape(options_);
    const double row = step_flops(config_, adapters_, {length, length, keys}) +
                       recomputed_flops(config_, shape.recompute, length, keys);
    time.compute = compute_seconds(row, rows, result.rows);
    time.tensor = tensor_seconds(shape.recompute, result.rows);
    exchange(time, result.rows);
    time.update = update_bytes(options_, number_bytes(), own_) / update_rate();
    if (data_ranks() > 1.0) {
      if (dist_.zero >= 1) time.gather = gather_seconds(trained_, number_bytes());
      if (dist_.zero >= 3 && adapters_ == 0.0) gather_blocks(time, result.rows);
    }
    if (cluster_.ranks() > 1) {
      time.small = (kSmallCollectives + (dist_.tensor > 1 ? kTensorCollectives : 0)) * latency();
    }
    time.step = time.compute + time.tensor + time.exposed + time.update + time.gather + time.small;
    save(time);
    time.step += time.save;

    const double tokens = static_cast<double>(rows) * length;
    result.tokens_per_second = tokens / time.step;
    result.utilisation =
        useful_ * static_cast<double>(rows) / (time.step * compute_rate() * devices());
    return result;
  }

 private:
  [[nodiscard]] const DeviceModel& device() const { return cluster_.device; }
  [[nodiscard]] double ranks() const { return static_cast<double>(cluster_.ranks()); }
  [[nodiscard]] double in_node() const { return static_cast<double>(cluster_.ranks_per_node); }
  [[nodiscard]] double nodes() const { return static_cast<double>(cluster_.nodes); }
  [[nodiscard]] bool shares_cores() const { return device().cores > 0; }
  [[nodiscard]] double number_bytes() const { return static_cast<double>(device().number_bytes); }

  // The grid: rows of dist.tensor neighbours, columns of ranks with the same part of the model.
  [[nodiscard]] double tensor_ranks() const { return static_cast<double>(dist_.tensor); }
  [[nodiscard]] double data_ranks() const { return ranks() / tensor_ranks(); }
  /// Of one column, ranks on a node; and columns that have ranks there.
  [[nodiscard]] double column_in_node() const { return std::max(1.0, in_node() / tensor_ranks()); }
  [[nodiscard]] double columns() const { return std::min(tensor_ranks(), in_node()); }
  /// Nodes that a column is on, and those that a row is on.
  [[nodiscard]] double column_nodes() const { return data_ranks() / column_in_node(); }
  [[nodiscard]] double row_nodes() const { return std::max(1.0, tensor_ranks() / in_node()); }

  /// Of a node's cores, those at work.
  [[nodiscard]] double busy_cores() const {
    return std::min(in_node(), static_cast<double>(device().cores));
  }
  /// Devices or cores at work.
  [[nodiscard]] double devices() const {
    return nodes() * (shares_cores() ? busy_cores() : in_node());
  }
  /// Ranks on one core.
  [[nodiscard]] double crowd() const {
    return shares_cores() ? std::max(1.0, in_node() / static_cast<double>(device().cores)) : 1.0;
  }
  /// What a core reaches beside as many as are busy: between `alone` and what all reach.
  [[nodiscard]] double beside_others(double alone, double all) const {
    const double others = static_cast<double>(device().cores) - 1.0;
    if (alone <= 0.0 || others <= 0.0) return all;
    return alone + (all - alone) * (busy_cores() - 1.0) / others;
  }
  [[nodiscard]] double compute_rate() const {
    return beside_others(device().tflops_alone, device().tflops) * 1e12;
  }
  /// A rank's, whose memory traffic shares a core's.
  [[nodiscard]] double update_rate() const {
    return beside_others(device().update_gbs_alone, device().update_gbs) * kGiga / crowd();
  }

  /// The plan is of numbers in f32; of a device that holds them in fewer bytes it takes as much
  /// less, but for the optimizer's state and what is of the program.
  [[nodiscard]] std::size_t bytes_in_memory(const TrainingMemory& memory) const {
    constexpr std::array<std::string_view, 5> kAsPlanned = {"program", "buffers", "optimizer state",
                                                            "snapshot", "neighbour"};
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
  /// `row_flops` are a rank's of a row, of which it has a part.
  [[nodiscard]] double compute_seconds(double row_flops, std::int64_t rows,
                                       std::int64_t busiest) const {
    const double alone = static_cast<double>(busiest) * row_flops / compute_rate();
    if (!shares_cores()) return alone;
    const double of_node = std::ceil(static_cast<double>(rows) * tensor_ranks() / nodes());
    return std::max(alone, of_node * row_flops / (compute_rate() * busy_cores()));
  }

  /// Seconds that a collective takes whatever its size.
  [[nodiscard]] double latency() const { return latency_of(nodes()); }
  [[nodiscard]] double latency_of(double nodes) const {
    double seconds = device().node_latency_us * kMicro * crowd();
    if (nodes > 1.0) {
      seconds += cluster_.link_latency_us * kMicro * crowd() + (nodes - 1.0) * kMessageSeconds;
    }
    return seconds;
  }

  /// What `bytes` of each of `members` on a node take to be summed into each one's part, or
  /// gathered from the parts, while `groups` of them do so.
  [[nodiscard]] double within_node(double bytes, double members, double groups) const {
    const double rate = device().node_gbs * kGiga;
    return shares_cores() ? groups * (members - 1.0) * bytes / rate
                          : (members - 1.0) / members * bytes / rate;
  }
  /// What the ranks of a column have on a node, summed into each one's part. On cores the ranks
  /// read all of it, and write it once: `node_gbs` is the rate of two, which pass over it three
  /// times.
  [[nodiscard]] double sum_in_column(double bytes) const {
    const double members = column_in_node();
    if (!shares_cores()) return within_node(bytes, members, columns());
    return members > 1.0 ? columns() * (members + 1.0) / 3.0 * bytes / core_traffic() : 0.0;
  }
  /// Gathered from the parts. On cores what is not in memory that the node shares passes through
  /// it: each rank copies its part there, and those of the others from there.
  [[nodiscard]] double gather_in_column(double bytes) const {
    const double members = column_in_node();
    if (!shares_cores()) return within_node(bytes, members, columns());
    return members > 1.0 ? columns() * 2.0 * members / 3.0 * bytes / core_traffic() : 0.0;
  }
  [[nodiscard]] double core_traffic() const { return device().node_gbs * kGiga; }
  /// Between nodes, of every column at once.
  [[nodiscard]] double across(double bytes) const {
    if (column_nodes() <= 1.0) return 0.0;
    return (column_nodes() - 1.0) / column_nodes() * columns() * bytes /
           (cluster_.link_gbs * kGiga);
  }
  /// One collective for each layer, one each for embeddings, last norm and head.
  [[nodiscard]] double collectives() const { return static_cast<double>(config_.layers) + 3.0; }

  /// `crossing` = bytes of a number between nodes.
  [[nodiscard]] double gather_seconds(double numbers, double crossing) const {
    return gather_in_column(number_bytes() * numbers) + across(crossing * numbers) +
           collectives() * latency_of(column_nodes());
  }

  /// Stage 3 on cores: a node has what is gathered once. Of one node it is all there; else it is
  /// written there once.
  [[nodiscard]] double gather_in_common(double numbers) const {
    const double bytes = number_bytes() * numbers;
    const double others = (column_nodes() - 1.0) / column_nodes();
    return across(bytes) + others * columns() * bytes / (device().node_gbs * kGiga) +
           collectives() * latency_of(column_nodes());
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

  /// A sum of activations behind attention and behind the feed-forward, forward and backward, and
  /// the first again where it is recomputed.
  [[nodiscard]] double tensor_seconds(model::Recompute rung, std::int64_t busiest) const {
    if (dist_.tensor == 1) return 0.0;
    const double sums =
        static_cast<double>(config_.layers) * (rung >= model::Recompute::kBlock ? 5.0 : 4.0);
    const double bytes = number_bytes() * static_cast<double>(config_.hidden_size) *
                         static_cast<double>(busiest * options_.seq_len);
    const double members = tensor_ranks() / row_nodes();
    const double groups = in_node() / members;
    // Summed into parts, which then come to all; on cores through memory in between.
    const double passes = shares_cores() ? 3.0 : 2.0;
    const double crossing = row_nodes() <= 1.0 ? 0.0
                                               : 2.0 * (row_nodes() - 1.0) / row_nodes() * groups *
                                                     bytes / (cluster_.link_gbs * kGiga);
    return sums * (passes * within_node(bytes, members, groups) + crossing +
                   micro_batches(busiest) * latency_of(row_nodes()));
  }

  /// Stage 3: a block's parameters come before its forward and its backward pass of every
  /// micro-batch, while the block before is computed.
  void gather_blocks(StepTime& time, std::int64_t busiest) const {
    const double passes = 2.0 * micro_batches(busiest);
    const double layers = trained_ - whole_numbers();
    if (shares_cores()) {
      time.gather = gather_in_common(whole_numbers());
      if (column_nodes() > 1.0) time.gather += passes * gather_in_common(layers);
      return;
    }
    const double blocks = passes * gather_seconds(layers, number_bytes());
    time.gather =
        gather_seconds(whole_numbers(), number_bytes()) + std::max(0.0, blocks - time.compute);
  }

  /// Bytes of a gradient between nodes. Devices sum in the model's type unless another is said.
  [[nodiscard]] double crossing_bytes() const {
    switch (gradient_crossing_from_option(dist_.gradient_type)) {
      case GradientCrossing::kOwn:
        return shares_cores() ? kSumBytes : number_bytes();
      case GradientCrossing::kBf16:
        return 2.0;
      case GradientCrossing::kF32:
        break;
    }
    return kSumBytes;
  }

  void exchange(StepTime& time, std::int64_t busiest) const {
    if (data_ranks() <= 1.0) return;
    const double crossing = crossing_bytes();
    // Within a node cores sum what is there; devices send what crosses.
    const double inside = shares_cores() ? number_bytes() : crossing;
    const double passes = micro_batches(busiest);
    // From stage 2 on a layer's gradients cross in every micro-batch, those of embeddings and head
    // once; else all cross once, during the last one.
    const double once = whole_numbers();
    const double times = dist_.zero >= 2 && adapters_ == 0.0 ? passes : 1.0;
    const double numbers = times * (trained_ - once) + once;
    time.exchange = sum_in_column(inside * numbers) + across(crossing * numbers) +
                    times * collectives() * latency_of(column_nodes());
    if (dist_.zero == 0) time.exchange += gather_seconds(trained_, crossing);
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

  /// Copied beside the next step's passes, from which cores take the time; then digested by each
  /// rank and written by all through the file system. The next save waits for the one before.
  void save(StepTime& time) const {
    if (options_.checkpoint_every <= 0) return;
    const auto every = static_cast<double>(options_.checkpoint_every);
    const double state =
        static_cast<double>(state_bytes(state_type_from_option(options_.optimizer_state),
                                        static_cast<std::int64_t>(whole_trained_)));
    const double all = kSumBytes * whole_trained_ + state;  // checkpoints hold weights in f32
    const double mine = all / ranks();
    const double copy = shares_cores() ? 2.0 * mine / update_rate()
                                       : std::max(0.0, mine / kHostCopyRate - time.compute);
    const double write = std::max(mine / kDigestRate, all / (cluster_.disk_gbs * kGiga));
    const double wait =
        options_.background_checkpoints ? copy + std::max(0.0, write - every * time.step) : write;
    time.save = wait / every;
  }

  model::DecoderConfig config_;  ///< a rank's part of the model
  const TrainOptions& options_;
  const DistOptions& dist_;
  const Cluster& cluster_;
  double adapters_ = 0.0;       ///< elements of a rank's; 0 = none
  double trained_ = 0.0;        ///< elements of a rank's part
  double whole_trained_ = 0.0;  ///< of the model
  double own_ = 0.0;            ///< of a rank's part, what it updates
  double useful_ = 0.0;         ///< operations of a row that are no repetition, of the whole model
  std::size_t memory_ = 0;
};

}  // namespace

ScalingEstimate estimate_step(const model::DecoderConfig& config, const TrainOptions& options,
                              const LoraTableOptions& lora, const DistOptions& dist,
                              const Cluster& cluster) {
  return Estimator(config, options, lora, dist, cluster).run();
}

}  // namespace nativo::train
