// A Mistral-architecture decoder with forward and backward written by hand, block by block.
// Arithmetic in f32. Not here: files (model/hf_directory.h), the optimizer (train/).
// Rule: the sum of losses is returned, never a mean; whoever knows the global batch normalises.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/decoder_config.h"

namespace nativo::model {

/// One parameter tensor, row-major. Linear weights are [out, in], named as in Hugging Face files
/// ("model.layers.0.self_attn.q_proj.weight").
struct Parameter {
  std::string name;
  std::vector<std::int64_t> shape;
  std::span<float> value;
  std::span<float> gradient;  ///< empty until enable_gradients()
  bool decays = true;         ///< weight decay applies (false for norm weights)
};

/// B rows of T tokens, flat in row-major order. A row may hold several packed documents: tokens with
/// different `document` numbers in one row never see each other, `position` restarts in each.
struct Batch {
  std::int64_t rows = 0;    ///< B
  std::int64_t length = 0;  ///< T
  std::vector<std::int32_t> tokens;     ///< [B,T] in [0, V)
  std::vector<std::int32_t> targets;    ///< [B,T] next token, or -1 where nothing is trained
  std::vector<std::int32_t> positions;  ///< [B,T] position inside the document, for RoPE
  std::vector<std::int32_t> documents;  ///< [B,T] document number; runs are contiguous; -1 = padding
};

/// Sum over targets of -log p(target), in f64, and how many targets there were.
struct LossSum {
  double loss = 0.0;
  std::int64_t targets = 0;
};

/// What the model thinks of each target of a batch.
struct TokenScores {
  std::vector<float> log_prob;       ///< [B,T] log p(target); 0 where target is -1
  std::vector<std::int32_t> argmax;  ///< [B,T] the greedy token; -1 where target is -1
};

/// The model and its parameters. One thread drives it; the arithmetic inside uses all OpenMP threads
/// and gives the same bits on any number of them.
class Decoder {
 public:
  /// Allocates the parameters, zeroed. Throws Error(kTryAgain) when memory does not suffice.
  explicit Decoder(const DecoderConfig& config);
  ~Decoder();
  Decoder(Decoder&&) noexcept;
  Decoder& operator=(Decoder&&) noexcept;

  [[nodiscard]] const DecoderConfig& config() const;

  /// All parameters, in the order of the forward pass: embedding, layers, final norm, head (absent
  /// when tied). The spans stay valid for the life of the decoder.
  [[nodiscard]] std::span<Parameter> parameters();
  [[nodiscard]] std::span<const Parameter> parameters() const;

  /// Normal(0, 0.02) for matrices (output projections scaled by 1/sqrt(2L)), ones for norms; each
  /// tensor drawn from (seed, its index).
  void initialize(std::uint64_t seed);

  /// Allocates gradients (zeroed) once; idempotent.
  void enable_gradients();
  void zero_gradients();

  /// The loss alone; keeps no activations.
  [[nodiscard]] LossSum forward(const Batch& batch);

  /// The loss, and gradient += scale * d(sum of losses)/d(parameter). Needs enable_gradients().
  LossSum forward_backward(const Batch& batch, float scale);

  /// log p(target) and the greedy token at every target.
  [[nodiscard]] TokenScores score(const Batch& batch);

  /// The logits of every token [B,T,V], whole: for comparisons and small batches. Targets are
  /// ignored; rows of padding are 0.
  [[nodiscard]] std::vector<float> logits(const Batch& batch);

 private:
  friend class DecodeSession;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nativo::model
