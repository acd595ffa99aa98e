// How long a training step takes on a cluster that is not there: arithmetic, collectives,
// checkpoints and memory, from figures of the devices and links. On paper only: nothing is run.
// Not here: the memory plan (training_memory.h), what devices there are (devices.h).
// Rule: it follows what the program does, operation by operation; a figure that no bench has
// measured says so in its source. docs/scaling.md has the formulas and the model's measured error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "config/visitor.h"
#include "model/decoder_config.h"
#include "train/options.h"

namespace nativo::train {

/// What one rank computes with, and how the ranks of a node reach each other.
struct DeviceModel {
  std::string about = {};    ///< for people
  std::string source = {};   ///< where the figures come from
  double memory_gib = 0.0;   ///< of one rank; 0 = not limited
  double tflops = 0.0;       ///< 10^12 operations a second in training, as flops.h counts
  double peak_tflops = 0.0;  ///< the data sheet's, of dense matrices; 0 = not said
  double update_gbs = 0.0;   ///< GB/s of the optimizer's update over what it reads and writes
  /// Of cores: the same of one while the others of its node are idle; 0 = as beside busy ones.
  double tflops_alone = 0.0;
  double update_gbs_alone = 0.0;
  double node_gbs = 0.0;          ///< GB/s of a rank to the others of its node, each direction
  double node_latency_us = 0.0;   ///< of a collective in a node
  std::int64_t number_bytes = 4;  ///< of a weight and of a gradient
  /// 0 = every rank has a device to itself. Else a node's cores: ranks beyond share them, node_gbs
  /// is the whole node's, and sums take time from arithmetic instead of running beside it.
  std::int64_t cores = 0;

  void visit(config::Visitor& visitor);
};

struct Cluster {
  DeviceModel device = {};
  std::int64_t nodes = 1;
  std::int64_t ranks_per_node = 1;
  double link_gbs = 0.0;          ///< GB/s of a node to all others, each direction
  double link_latency_us = 20.0;  ///< of a message between nodes
  double disk_gbs = 2.0;          ///< GB/s of the file system, all nodes together

  [[nodiscard]] std::int64_t ranks() const { return nodes * ranks_per_node; }
};

/// Seconds of one step's wall time; `step` is the sum of the other parts but `exchange`.
struct StepTime {
  double compute = 0.0;   ///< forward, backward and what is recomputed, of the busiest rank
  double exchange = 0.0;  ///< the gradients' sums, hidden or not
  double exposed = 0.0;   ///< what of them the backward pass does not hide
  double update = 0.0;    ///< AdamW over a rank's share
  double gather = 0.0;    ///< updated parameters to all ranks; blocks gathered for ZeRO 3
  double tensor = 0.0;    ///< sums of activations over tensor-parallel ranks; nothing hides them
  double small = 0.0;     ///< loss, norm and the question of a stop: latency alone
  double save = 0.0;  ///< of a checkpoint every train.checkpoint_every steps, what training waits
  double step = 0.0;
};

struct ScalingEstimate {
  StepTime time;
  double tokens_per_second = 0.0;  ///< of all ranks
  double utilisation = 0.0;        ///< of the devices' training rate; what is recomputed is no work
  std::size_t memory = 0;          ///< bytes of the largest rank; see training_memory.h
  bool fits = false;
  std::int64_t rows = 0;    ///< rows of the busiest rank in a step
  bool idle_ranks = false;  ///< there are more ranks than rows
};

/// A step of `options.batch_tokens` over all ranks of `cluster`. Throws Error(kConfig) for options
/// that are none, and for a dist.tensor that cuts neither the ranks nor the model evenly.
[[nodiscard]] ScalingEstimate estimate_step(const model::DecoderConfig& config,
                                            const TrainOptions& options,
                                            const LoraTableOptions& lora, const DistOptions& dist,
                                            const Cluster& cluster);

}  // namespace nativo::train
