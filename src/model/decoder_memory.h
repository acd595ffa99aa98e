// The memory of one pass over a batch: what each step of it needs, and when, so that what is never
// needed together lies in one place. Not for other folders (see model/memory_plan.h).
// Rule: a tensor's lifetime covers every operation that touches it; the moments below are the
// operations of model/decoder_block.cc in their order.
#pragma once

#include <cstdint>
#include <vector>

#include "model/decoder_config.h"
#include "model/decoder_state.h"
#include "model/linear.h"
#include "model/lora.h"
#include "model/recompute.h"
#include "tensor/arena.h"
#include "tensor/lifetime_plan.h"
#include "tensor/view.h"

namespace nativo::model {

/// What one layer computes on its way forward, over N = B*T tokens, in numbers of type T.
template <class T>
struct LayerActivations {
  tensor::View<T> input;                  ///< [N,C]
  tensor::View<float> rstd1;              ///< [N]
  tensor::View<T> normed1;                ///< [N,C]
  tensor::View<T> qk;                     ///< [N,(H+K)D], before their norms; null without these
  tensor::View<float> qk_rstd;            ///< [N,H+K]
  tensor::View<T> qkv;                    ///< [N,(H+2K)D], after RoPE
  tensor::View<T> attention;              ///< [N,HD]
  tensor::View<float> lse;                ///< [N,H]
  tensor::View<float> attention_scratch;  ///< see ops::attention_workspace
  tensor::View<T> middle;                 ///< [N,C], after attention
  tensor::View<float> rstd2;              ///< [N]
  tensor::View<T> normed2;                ///< [N,C]
  tensor::View<T> gate_up;                ///< [N,2F]
  tensor::View<T> act;                    ///< [N,F]
};

/// What its backward pass needs besides.
template <class T>
struct LayerScratch {
  tensor::View<T> normed1_again;          ///< [N,C], on the way to what is computed again
  tensor::View<T> normed2_again;          ///< [N,C]
  tensor::View<T> dact;                   ///< [N,F]
  tensor::View<T> dnormed2;               ///< [N,C]
  tensor::View<float> norm_partial2;      ///< see ops::rmsnorm_backward
  tensor::View<T> dattention;             ///< [N,HD]
  tensor::View<float> attention_scratch;  ///< see ops::attention_workspace
  tensor::View<T> dqkv;                   ///< [N,(H+2K)D]
  tensor::View<float> head_norm_partial;  ///< null where q and k have no norms
  tensor::View<T> dnormed1;               ///< [N,C]
  tensor::View<float> norm_partial1;
};

template <class T>
struct LayerMemory {
  LayerActivations<T> forward;
  /// The same memory where something is kept, memory of its own where it is computed again; null
  /// in a forward pass and where nothing below is trained.
  LayerActivations<T> backward;
  LayerScratch<T> scratch;
};

/// All memory of one pass, from one arena.
template <class T>
struct Workspace {
  std::vector<LayerMemory<T>> layers;
  tensor::View<T> output;             ///< [N,C], of the last layer
  tensor::View<T> gathered;           ///< [n,C], rows with a target; n as in logits
  tensor::View<T> gathered_norm;      ///< [n,C]
  tensor::View<float> gathered_rstd;  ///< [n]
  tensor::View<T> logits;             ///< [n,V], see logits_chunk
  LinearContext<T> linear;            ///< its scratch; dropout is the pass's
  // Training only.
  tensor::View<T> dnormed;  ///< [n,C]
  tensor::View<float> norm_partial;
  tensor::View<T> dx;         ///< [N,C]
  ModelTensors<T> gradients;  ///< where they share this memory; else null views
};

/// Whether gradients lie in the memory of a pass.
[[nodiscard]] constexpr bool lie_in_pass(GradientMemory gradients) {
  return gradients == GradientMemory::kShared || gradients == GradientMemory::kPassing;
}

/// What decides how large a workspace is.
struct PassShape {
  std::int64_t rows = 0;    ///< B
  std::int64_t length = 0;  ///< T
  bool training = false;
  Recompute recompute = Recompute::kNorms;
  /// kShared and kPassing lie in the workspace; kApart is taken with adapters.
  GradientMemory gradients = GradientMemory::kApart;
  bool offload_inputs = false;           ///< kept inputs wait on the host; rung kBlock alone
  std::int64_t first_trained_layer = 0;  ///< below it nothing is trained and nothing kept
  tensor::Device device = {};            ///< where the pass runs
};

/// The lowest layer with an adapter; 0 without adapters.
[[nodiscard]] std::int64_t first_trained_layer(const LoraConfig* lora);

/// Rows of logits held at a time, in whole blocks of 64 and at most `rows`: some 32 MiB of them and
/// at most 512; on a GPU 16 times as many and at most 4096.
[[nodiscard]] std::int64_t logits_chunk(const DecoderConfig& config, std::int64_t rows,
                                        const tensor::Device& device = {});

/// Bytes on the host of what offload_inputs keeps there.
[[nodiscard]] std::size_t offloaded_bytes(const DecoderConfig& config, tensor::DType type,
                                          const PassShape& shape);

/// The plan of a workspace, and when each half of the pass is.
struct PassPlan {
  tensor::LifetimePlan memory;
  tensor::Lifetime forward;
  tensor::Lifetime backward;  ///< loss and head included
};
template <class T>
[[nodiscard]] PassPlan plan_pass(const DecoderConfig& config, const LinearScratch& scratch,
                                 const PassShape& shape);

/// Reserves that plan's memory in `arena` (which is reused when it is large enough) and returns
/// views into it.
template <class T>
[[nodiscard]] Workspace<T> make_workspace(const DecoderConfig& config, const LinearScratch& scratch,
                                          const PassShape& shape, tensor::Arena& arena);

}  // namespace nativo::model
