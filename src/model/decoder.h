// A decoder (Mistral, Llama, Qwen: see model/decoder_config.h) with forward and backward written by
// hand, block by block.
// Arithmetic in f32 on the CPU, in f32 or bf16 on a GPU. Not here: files (model/hf_directory.h),
// the optimizer (train/). Rule: the sum of losses is returned, never a mean; whoever knows the
// global batch normalises.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/decoder_config.h"
#include "model/decoder_ranks.h"
#include "model/lora_config.h"
#include "model/numbers.h"
#include "model/recompute.h"
#include "ops/quantize.h"
#include "tensor/any_view.h"

namespace nativo::model {

/// One parameter tensor, row-major. Linear weights are [out, in], named as in Hugging Face files
/// ("model.layers.0.self_attn.q_proj.weight").
struct Parameter {
  std::string name;
  std::vector<std::int64_t> shape;
  std::span<float> value;     ///< `stored` where it is f32 on the host; else empty
  std::span<float> gradient;  ///< the same of `stored_gradient`
  bool decays = true;         ///< weight decay applies (false for norm weights and biases)
  std::int64_t layer = 0;     ///< -1 of the embedding, L of the final norm and the head
  TensorPart part = {};       ///< of tensor-parallel ranks: `shape` and the values are this part's
  tensor::AnyView stored = {};           ///< flat; no elements where it is quantised
  tensor::AnyView stored_gradient = {};  ///< no elements until enable_gradients(); GradientMemory

  void set_stored(const tensor::AnyView& view) {
    stored = view;
    value = tensor::host_span(view);
  }
  void set_gradient(const tensor::AnyView& view) {
    stored_gradient = view;
    gradient = tensor::host_span(view);
  }
  /// Elements of `stored`.
  [[nodiscard]] std::size_t elements() const { return tensor::elements(stored); }
  [[nodiscard]] const std::vector<std::int64_t>& whole_shape() const {
    return part.is_cut() ? part.whole : shape;
  }
};

/// How the linear layers of the blocks are held. Quantised ones are frozen: their `value` is empty,
/// they are trained through LoRA only.
struct Quantization {
  std::optional<ops::QuantFormat> format;  ///< none = f32
  ops::ScaleFormat scales = ops::ScaleFormat::kF32;
  bool operator==(const Quantization&) const = default;
};

/// Names the random numbers of a training batch: equal for equal (seed, step, place in the step),
/// however the step is cut into batches.
struct BatchNoise {
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::int64_t first_row = 0;  ///< of this batch in the step's rows
};

/// B rows of T tokens, flat in row-major order. A row may hold several packed documents: tokens
/// with different `document` numbers in one row never see each other, `position` restarts in each.
struct Batch {
  std::int64_t rows = 0;                ///< B
  std::int64_t length = 0;              ///< T
  std::vector<std::int32_t> tokens;     ///< [B,T] in [0, V)
  std::vector<std::int32_t> targets;    ///< [B,T] next token, or -1 where nothing is trained
  std::vector<std::int32_t> positions;  ///< [B,T] position inside the document, for RoPE
  std::vector<std::int32_t>
      documents;          ///< [B,T] document number; runs are contiguous; -1 = padding
  BatchNoise noise = {};  ///< for LoRA's dropout and NEFTune, in forward_backward only
};

/// Sums over targets, in f64, and how many targets there were.
struct LossSum {
  double loss = 0.0;       ///< of -log p(target): what curves show
  double objective = 0.0;  ///< of what is optimised; differs with StepOptions' additions alone
  std::int64_t targets = 0;
};

/// What forward_backward optimises and hands out beside the loss. The additions are off by default.
struct StepOptions {
  float scale = 1.0F;            ///< of all gradients: 1 / targets of the global batch
  double z_loss = 0.0;           ///< see ops::CrossEntropy; >= 0
  double label_smoothing = 0.0;  ///< see ops::CrossEntropy; in [0, 1)
  /// NEFTune (Jain et al., arXiv:2310.05914): embeddings get uniform noise in +-alpha/sqrt(L C), L
  /// the length of the token's document in the row. Drawn by Batch::noise and place.
  double neftune_alpha = 0.0;
  /// Empty, or [B,T]: filled with log p(target); 0 where nothing is trained.
  std::span<float> log_prob = {};
  Recompute recompute = Recompute::kNorms;  ///< memory against time; the bits are the same
  /// On a GPU, with Recompute::kBlock: what is kept of the layers waits in host memory.
  bool offload_inputs = false;
  /// May be empty. Called with L, L-1, ..., 0, -1, those that are trained (see Parameter::layer),
  /// as soon as this batch changes nothing more of the layer's gradients. A tied head's gradient is
  /// the embedding's. Not called for a batch without targets, unless Decoder::gathers_layers().
  std::function<void(std::int64_t layer)> layer_done = {};
  /// Of a decoder with GradientMemory::kLent, else unused. Asked once for each of L, ..., -1 before
  /// anything of the layer's gradients is computed (a tied embedding's with the head's): as many
  /// numbers as the layer's parameters have together, of their type and on their device, to which
  /// they are added in their order. Theirs until layer_done(layer).
  std::function<tensor::AnyView(std::int64_t layer)> layer_gradients = {};
};

/// Where the gradients of all parameters lie. Those of adapters are always apart.
enum class GradientMemory {
  kApart,  ///< memory of their own: they accumulate from batch to batch
  /// In memory that activations leave while the backward pass goes down: a step that is one batch
  /// needs less. They are there from forward_backward() until the next pass of any kind, and
  /// forward_backward() may not be called twice without zero_gradients() between.
  kShared,
  /// As kShared, but a layer's are there only until layer_done(layer) returns: whoever updates the
  /// weights by then needs no memory for gradients but one layer's.
  kPassing,
  /// In memory that StepOptions::layer_gradients lends for a layer at a time: Parameter::gradient
  /// stays empty.
  kLent
};

/// Bytes that a decoder has reserved; see model/memory_plan.h.
struct DecoderMemory {
  std::size_t parameters = 0;  ///< in f32
  std::size_t quantized_parameters = 0;
  std::size_t adapters = 0;
  std::size_t gradients = 0;  ///< in memory of their own
  std::size_t pass = 0;       ///< activations and all else that a batch needs
  std::size_t host = 0;       ///< beside a GPU: StepOptions::offload_inputs

  /// On the decoder's device.
  [[nodiscard]] std::size_t total() const {
    return parameters + quantized_parameters + adapters + gradients + pass;
  }
  bool operator==(const DecoderMemory&) const = default;
};

/// What the model thinks of each target of a batch.
struct TokenScores {
  std::vector<float> log_prob;       ///< [B,T] log p(target); 0 where target is -1
  std::vector<std::int32_t> argmax;  ///< [B,T] the greedy token; -1 where target is -1
};

struct DecoderCore;

/// The model and its parameters. One thread drives it; the arithmetic inside uses all OpenMP
/// threads and gives the same bits on any number of them.
class Decoder {
 public:
  /// Allocates the parameters, zeroed. Throws Error(kTryAgain) when memory does not suffice, and
  /// Error(kConfig) for a GPU that is not there. With `ranks` collective, as are load(),
  /// initialize(), read_whole() and every pass; throws as tensor_part(). On a GPU the ranks are
  /// GPUs' (dist/nccl.h).
  explicit Decoder(const DecoderConfig& config, const Quantization& quantization = {},
                   const DecoderRanks& ranks = {}, const Numbers& numbers = {});
  ~Decoder();
  Decoder(Decoder&&) noexcept;
  Decoder& operator=(Decoder&&) noexcept;

  /// Of the whole model, whatever part of it is here.
  [[nodiscard]] const DecoderConfig& config() const;
  [[nodiscard]] const DecoderRanks& ranks() const;
  [[nodiscard]] const Numbers& numbers() const;

  /// Every node, or every GPU, has parts of the layers, each of which is gathered for the time that
  /// a pass needs it: DecoderRanks::weights are on several nodes or on GPUs, and nothing is
  /// quantised. Then every pass is collective over them, read_merged() too, and of the parameters
  /// of layers `stored` holds this rank's shards (model/shards.h) alone; elsewhere it is not to be
  /// touched.
  [[nodiscard]] bool gathers_layers() const;
  /// What a rank calls that has no batch where others have one; nothing when gathers_layers() is
  /// false.
  void attend_forward();
  void attend_forward_backward(const StepOptions& options);

  /// All parameters, in the order of the forward pass: embedding, layers, final norm, head (absent
  /// when tied). The spans stay valid for the life of the decoder.
  [[nodiscard]] std::span<Parameter> parameters();
  [[nodiscard]] std::span<const Parameter> parameters() const;

  /// Normal(0, 0.02) for matrices (output projections scaled by 1/sqrt(2L)), ones for norms; each
  /// tensor drawn from (seed, its index).
  void initialize(std::uint64_t seed);

  /// Sets all parameters: read(parameter, values) fills `values` with the elements that
  /// parameter.part says: its own, or (gathers_layers()) a piece, that no rank reads more than it
  /// keeps. Throws what `read` throws, and Error(kData) for a weight that cannot be quantised.
  void load(const std::function<void(const Parameter&, std::span<float>)>& read);

  /// values = parameter `index` as the model computes with it: dequantised, its adapter added. What
  /// a merged model consists of.
  void read_merged(std::size_t index, std::span<float> values) const;

  /// The same of the whole tensor, of which tensor-parallel ranks have parts (of adapters: of
  /// trainable()[index]).
  void read_whole(std::size_t index, std::span<float> values) const;
  void read_whole_adapter(std::size_t index, std::span<float> values) const;

  [[nodiscard]] const Quantization& quantization() const;

  /// Adds LoRA adapters and freezes all other parameters. A is uniform in +-1/sqrt(inputs), as
  /// PEFT's kaiming_uniform(a = sqrt 5), drawn from (seed, the adapter's place); B is zero, so that
  /// nothing changes yet. Once at most, before enable_gradients(); the modules must be the model's.
  void attach_lora(const LoraConfig& lora, std::uint64_t seed);
  /// Null without adapters.
  [[nodiscard]] const LoraConfig* lora() const;

  /// What training changes: the adapters' A and B, named as in PEFT's files
  /// ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"), in the order of the
  /// modules; parameters() when there are none.
  [[nodiscard]] std::span<Parameter> trainable();
  [[nodiscard]] std::span<const Parameter> trainable() const;

  /// Prepares gradients of trainable() (zeroed) once; the first call decides where. They lie one
  /// behind the other, in the order of trainable(); when they lie apart and `place` is not empty,
  /// at its beginning: it starts at a multiple of 64 bytes, outlives the decoder's use of them and
  /// has 4 bytes a trained number, rounded up to a multiple of 64.
  void enable_gradients(GradientMemory memory = GradientMemory::kApart,
                        std::span<std::byte> place = {});
  void zero_gradients();

  /// The loss alone; keeps no activations.
  [[nodiscard]] LossSum forward(const Batch& batch);

  /// The loss, and gradient += scale * d(objective)/d(parameter) for all of trainable(). Needs
  /// enable_gradients(). LoRA's dropout and NEFTune's noise act here alone.
  LossSum forward_backward(const Batch& batch, const StepOptions& options);

  /// What is reserved now; `pass` grows with the largest batch seen.
  [[nodiscard]] DecoderMemory memory() const;

  /// log p(target) and the greedy token at every target.
  [[nodiscard]] TokenScores score(const Batch& batch);

  /// The logits of every token [B,T,V], whole: for comparisons and small batches. Targets are
  /// ignored; rows of padding are 0.
  [[nodiscard]] std::vector<float> logits(const Batch& batch);

 private:
  friend class DecodeSession;
  struct State;
  [[nodiscard]] DecoderCore& core();
  [[nodiscard]] const DecoderCore& core() const;
  std::unique_ptr<State> state_;
};

}  // namespace nativo::model
