#include "train/options.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::train {

void TrainOptions::visit(config::Visitor& visitor) {
  visitor.value({.name = "method",
                 .help = "what is trained: all weights, or LoRA adapters beside a base that is "
                         "frozen in f32, int8 or NF4; see [lora]",
                 .choices = {"full", "lora", "qlora-int8", "qlora-nf4"}},
                method);
  visitor.value({.name = "epochs", .help = "passes over the data", .min = 1, .max = 1e6}, epochs);
  visitor.value({.name = "max_steps",
                 .help = "optimizer steps; 0 = as many as the epochs need",
                 .min = 0,
                 .max = 1e9},
                max_steps);
  visitor.value({.name = "seq_len",
                 .help = "tokens a row; longer examples are cut",
                 .min = 2,
                 .max = 1 << 20},
                seq_len);
  visitor.value({.name = "micro_batch",
                 .help = "rows computed at once; more need more memory, results stay the same",
                 .min = 1,
                 .max = 1 << 20},
                micro_batch);
  visitor.value({.name = "batch_tokens",
                 .help = "tokens an optimizer step, padding included; at least seq_len",
                 .min = 2,
                 .max = 1e9},
                batch_tokens);
  visitor.value({.name = "lr", .help = "peak learning rate", .min = 0, .max = 1}, lr);
  visitor.value({.name = "min_lr_ratio",
                 .help = "learning rate of the last step, as a fraction of lr",
                 .min = 0,
                 .max = 1},
                min_lr_ratio);
  visitor.value(
      {.name = "warmup_ratio", .help = "fraction of the steps that warm up", .min = 0, .max = 1},
      warmup_ratio);
  visitor.value({.name = "warmup_steps",
                 .help = "steps that warm up, in place of warmup_ratio; -1 = as that says",
                 .min = -1,
                 .max = 1e9},
                warmup_steps);
  visitor.value({.name = "schedule",
                 .help = "how the learning rate falls after the warm-up; wsd: not at all before "
                         "the last steps, then as 1 - sqrt",
                 .choices = {"cosine", "linear", "constant", "wsd"}},
                schedule);
  visitor.value({.name = "decay_ratio",
                 .help = "wsd: fraction of the steps, the last, in which the learning rate falls",
                 .min = 0,
                 .max = 1},
                decay_ratio);
  visitor.value({.name = "weight_decay",
                 .help = "decoupled decay of the matrices (norm weights and biases never decay)",
                 .min = 0,
                 .max = 10},
                weight_decay);
  visitor.value({.name = "no_decay",
                 .help = "parameters with one of these texts in their name do not decay, such as "
                         "embed_tokens"},
                no_decay);
  visitor.value(
      {.name = "beta1", .help = "AdamW: memory of the gradient", .min = 0, .max = 0.999999}, beta1);
  visitor.value(
      {.name = "beta2", .help = "AdamW: memory of its square", .min = 0, .max = 0.99999999}, beta2);
  visitor.value({.name = "eps", .help = "AdamW: floor of the divisor", .min = 1e-30, .max = 1},
                eps);
  visitor.value({.name = "clip_norm",
                 .help = "largest norm of the whole gradient; 0 = no limit",
                 .min = 0,
                 .max = 1e9},
                clip_norm);
  visitor.value({.name = "recompute",
                 .help = "what the backward pass computes again instead of keeping it, each with "
                         "all before it; less memory, more time, the same bits",
                 .choices = {model::kRecomputeNames.begin(), model::kRecomputeNames.end()}},
                recompute);
  visitor.value({.name = "z_loss",
                 .help = "adds this times (log of the softmax's sum)^2 to each token's loss, which "
                         "keeps logits near 0; PaLM: 1e-4, 0 = off",
                 .min = 0,
                 .max = 1},
                z_loss);
  visitor.value({.name = "label_smoothing",
                 .help = "share of each target that is spread over the vocabulary; 0 = off",
                 .min = 0,
                 .max = 0.999},
                label_smoothing);
  visitor.value({.name = "neftune_alpha",
                 .help = "NEFTune: uniform noise in +-alpha / sqrt(tokens of the document x hidden "
                         "size) on the embeddings while training; usual 5, 0 = off",
                 .min = 0,
                 .max = 1e6},
                neftune_alpha);
  visitor.value(
      {.name = "optimizer_state",
       .help = "what AdamW's two moments are held in: f32 takes 8 bytes a parameter, bf16 "
               "with stochastic rounding 4, int8 with a scale per 128 numbers 2.0625",
       .choices = {"f32", "bf16", "int8"}},
      optimizer_state);
  visitor.value({.name = "optimizer_in_backward",
                 .help = "each layer is updated as soon as its gradient is there, which then needs "
                         "no memory; for one rank, one micro-batch a step and clip_norm = 0"},
                optimizer_in_backward);
  visitor.value({.name = "offload",
                 .help = "what waits in host memory while a GPU does not need it: optimizer (its "
                         "state), activations (the layers' inputs; recompute = block)"},
                offload);
  visitor.value(
      {.name = "device", .help = "where is trained: cpu, or a GPU: cuda (the first), cuda:1, ..."},
      device);
  visitor.value({.name = "precision",
                 .help = "type of weights, activations and gradients; auto = f32 on the CPU, bf16 "
                         "on a GPU; fp8 = bf16, but the layers' products have factors in FP8 (GPUs "
                         "from compute capability 8.9 on)",
                 .choices = {"auto", "f32", "bf16", "fp8"}},
                precision);
  visitor.value({.name = "on_spike",
                 .help = "at a loss or gradient that is not finite, or a loss beyond spike_sigma: "
                         "stop, skip the step, or roll back to the last regular checkpoint and go "
                         "on behind the batch",
                 .choices = {"stop", "skip", "rollback"}},
                on_spike);
  visitor.value({.name = "spike_sigma",
                 .help = "a loss this many standard deviations above the mean of the last 64 is a "
                         "spike; 0 = only what is not finite",
                 .min = 0,
                 .max = 1e6},
                spike_sigma);
  visitor.value({.name = "max_spikes",
                 .help = "skipped steps and rollbacks of a run, beyond which it stops",
                 .min = 0,
                 .max = 1e9},
                max_spikes);
  visitor.value({.name = "eval_every",
                 .help = "steps between losses on the held-out examples; 0 = first and last only",
                 .min = 0,
                 .max = 1e9},
                eval_every);
  visitor.value({.name = "checkpoint_every",
                 .help = "steps between checkpoints; 0 = last only",
                 .min = 0,
                 .max = 1e9},
                checkpoint_every);
  visitor.value({.name = "keep", .help = "checkpoints kept, the newest", .min = 1, .max = 1e6},
                keep);
  visitor.value({.name = "background_checkpoints",
                 .help = "checkpoints are written while training goes on, from a copy that takes 4 "
                         "bytes a trained parameter plus its optimizer's state; false = training "
                         "waits and nothing is copied"},
                background_checkpoints);
  visitor.value({.name = "keep_best",
                 .help = "the result is the model with the lowest of the held-out losses that were "
                         "measured after a step; its checkpoint is kept beside the newest. false = "
                         "the last step's"},
                keep_best);
  visitor.value({.name = "patience",
                 .help = "ends the training after so many held-out losses in a row that are no new "
                         "lowest one (keep_best); 0 = never",
                 .min = 0,
                 .max = 1e9},
                patience);
  visitor.value({.name = "train_on",
                 .help = "which tokens are predicted: the assistant's, or all",
                 .choices = {"assistant", "all"}},
                train_on);
  visitor.path(
      {.name = "tokens",
       .help = "file of pre-tokenised lines (docs/formats/tokens.md) to train on beside the "
               "records; empty = none"},
      tokens);
}

void DistOptions::visit(config::Visitor& visitor) {
  visitor.value({.name = "grid",
                 .help = "how the ranks share out the training: fixed = as zero and tensor say; "
                         "auto = these are chosen so that it fits into memory, nothing being cut "
                         "that need not be (`nativo memory --ranks` says what)",
                 .choices = {"fixed", "auto"}},
                grid);
  visitor.value({.name = "zero",
                 .help = "ZeRO stage, what is sharded over the ranks: 0 = nothing, 1 = the "
                         "optimizer's state, 2 = gradients too, 3 = parameters too: once a node, "
                         "and each of several nodes has its part",
                 .min = 0,
                 .max = 3},
                zero);
  visitor.value({.name = "tensor",
                 .help = "neighbouring ranks that share one model, each with a part of every layer "
                         "(tensor parallel); divides the ranks, heads, key/value heads and the "
                         "width of the feed-forward",
                 .min = 1,
                 .max = 1024},
                tensor);
  visitor.value({.name = "gradient_type",
                 .help = "what gradients are on their way: on the CPU between nodes, auto = f32, "
                         "bf16 halves what crosses and its sums are f32; on GPUs between any two, "
                         "auto = what the model is in, another type takes two buffers of a layer",
                 .choices = {"auto", "f32", "bf16"}},
                gradient_type);
  visitor.value(
      {.name = "neighbour_every",
       .help = "steps between copies of the state into the memory of each rank's node and "
               "of the next one, from which training goes on after a fault when no "
               "checkpoint is newer; 0 = none",
       .min = 0,
       .max = 1e9},
      neighbour_every);
  visitor.path({.name = "neighbour_dir",
                .help = "where these copies lie: a memory file system, of each node its own"},
               neighbour_dir);
  visitor.value({.name = "timeout",
                 .help = "seconds that a rank waits for the others before it names those that are "
                         "missing and ends; 0 = for ever",
                 .min = 0,
                 .max = 1e9},
                timeout);
}

void LoraTableOptions::visit(config::Visitor& visitor) {
  visitor.value({.name = "rank", .help = "rank of every adapter (PEFT: r)", .min = 1, .max = 65536},
                lora.rank);
  visitor.value({.name = "alpha",
                 .help = "adapters are scaled by alpha / rank (PEFT: lora_alpha)",
                 .min = 1e-6,
                 .max = 1e6},
                lora.alpha);
  visitor.value({.name = "dropout",
                 .help = "dropout of the adapters' input while training (PEFT: lora_dropout)",
                 .min = 0,
                 .max = 0.99},
                lora.dropout);
  visitor.value({.name = "rslora",
                 .help = "scale by alpha / sqrt(rank) instead, for high ranks (PEFT: use_rslora)"},
                lora.rslora);
  visitor.value({.name = "targets",
                 .help = "layers with an adapter: q_proj, k_proj, v_proj, o_proj, gate_proj, "
                         "up_proj, down_proj, or all-linear (PEFT: target_modules)"},
                lora.targets);
  visitor.value({.name = "double_quant",
                 .help = "qlora: the scales in 8 bits too, which saves 0.4 bits a weight"},
                double_quant);
}

model::Quantization quantization_of(const std::string& method, const LoraTableOptions& options) {
  model::Quantization quantization;
  if (method == "qlora-int8") quantization.format = ops::QuantFormat::kInt8;
  if (method == "qlora-nf4") quantization.format = ops::QuantFormat::kNf4;
  if (options.double_quant) quantization.scales = ops::ScaleFormat::kDouble;
  return quantization;
}

Offload offload_of(const TrainOptions& options) {
  Offload offload;
  for (const std::string& name : options.offload) {
    if (name == "optimizer") {
      offload.optimizer = true;
    } else if (name == "activations") {
      offload.activations = true;
    } else {
      throw Error(ExitCode::kConfig, fmt::format("train.offload: \"{}\" is none of optimizer, "
                                                 "activations",
                                                 printable(name)));
    }
  }
  if (!options.offload.empty() && !numbers_of(options).device.is_cuda()) {
    throw Error(ExitCode::kConfig, "train.offload: the CPU's memory is the host's",
                "remove it, or set train.device = \"cuda\"");
  }
  if (offload.activations && options.recompute != "block") {
    throw Error(ExitCode::kConfig,
                fmt::format("train.offload: activations wait on the host with train.recompute = "
                            "\"block\" alone, not with \"{}\": more would be on its way than a "
                            "bus carries meanwhile",
                            printable(options.recompute)),
                "set train.recompute = \"block\"");
  }
  return offload;
}

model::Numbers numbers_of(const TrainOptions& options) {
  return model::numbers_from_names("train.", options.device, options.precision);
}

}  // namespace nativo::train
