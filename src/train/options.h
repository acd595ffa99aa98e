// What [train] of the pipeline file may say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/visitor.h"
#include "model/decoder.h"

namespace nativo::train {

struct TrainOptions {
  std::string method = "full";  ///< which of the weights are trained; see LoraTableOptions
  std::int64_t epochs = 2;
  std::int64_t max_steps = 0;
  std::int64_t seq_len = 1024;
  std::int64_t micro_batch = 2;
  std::int64_t batch_tokens = 32768;
  double lr = 1e-5;
  double min_lr_ratio = 0.1;
  double warmup_ratio = 0.03;
  std::int64_t warmup_steps = -1;
  std::string schedule = "cosine";
  double decay_ratio = 0.2;
  double weight_decay = 0.1;
  std::vector<std::string> no_decay = {};
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double clip_norm = 1.0;
  std::string recompute = "norms";
  double z_loss = 0.0;
  double label_smoothing = 0.0;
  double neftune_alpha = 0.0;
  std::string optimizer_state = "f32";
  bool optimizer_in_backward = false;
  std::vector<std::string> offload = {};
  std::string device = "cpu";
  std::string precision = "auto";
  std::string on_spike = "stop";
  double spike_sigma = 0.0;
  std::int64_t max_spikes = 10;
  std::int64_t seed = 1;  ///< not an option of [train]: the run's seed, set by the caller
  std::int64_t eval_every = 100;
  std::int64_t checkpoint_every = 100;
  std::int64_t keep = 2;
  bool background_checkpoints = true;
  bool keep_best = true;
  std::int64_t patience = 0;
  std::string train_on = "assistant";
  std::string tokens;  ///< a file of pre-tokenised lines; "" = none

  void visit(config::Visitor& visitor);
};

/// [dist]: how several ranks (mpirun, srun) train together. What a checkpoint means does not
/// depend on it: it is not part of what a run must be continued with.
struct DistOptions {
  std::string grid = "fixed";
  std::int64_t zero = 1;
  std::int64_t tensor = 1;
  std::string gradient_type = "auto";
  std::int64_t neighbour_every = 0;
  std::string neighbour_dir = "/dev/shm";
  double timeout = 600.0;

  void visit(config::Visitor& visitor);
};

/// [lora]: how train.method = "lora", "qlora-int8" and "qlora-nf4" adapt the base.
struct LoraTableOptions {
  model::LoraOptions lora;
  bool double_quant = false;

  void visit(config::Visitor& visitor);
};

/// What `options` have the model computed in, and where. Throws Error(kConfig) for a device or a
/// precision that is none, and for bf16 on the CPU.
[[nodiscard]] model::Numbers numbers_of(const TrainOptions& options);

/// What waits in host memory while a GPU does not need it.
struct Offload {
  bool optimizer = false;
  bool activations = false;
};
/// Of train.offload. Throws Error(kConfig) for a name that is none, on the CPU, and for activations
/// that are not recomputed from the layers' inputs (train.recompute).
[[nodiscard]] Offload offload_of(const TrainOptions& options);

/// What the linear layers of the base are held in under `method`.
[[nodiscard]] model::Quantization quantization_of(const std::string& method,
                                                  const LoraTableOptions& options);

}  // namespace nativo::train
