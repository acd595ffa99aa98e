// The encoder-decoder transformer that translates: Vaswani et al., arXiv:1706.03762, in the forms
// that OpenNMT and CTranslate2 know. Inference only, on CPUs. Not here: reading a model
// (load_encoder_decoder's file) and searching (generate/translator.h).
// Rule: there is no padding and no batch: what a row computes depends on its own sentence alone,
// bit for bit.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/ctranslate2_directory.h"
#include "model/inference_linear.h"
#include "model/key_value_rows.h"

namespace nativo::model {

struct EncoderDecoderWeights;  // model/encoder_decoder_weights.h

/// In what the linear layers are computed. kStored: int8 when the file holds integers, else f32.
enum class ComputeType { kStored, kF32, kInt8 };

/// Floats from one layer's keys and values [2D] to the next one's in a token's row: not a power of
/// two, or the same head of all tokens would compete for the same few lines of the cache.
[[nodiscard]] constexpr std::int64_t key_value_stride(std::int64_t width) { return 2 * width + 16; }

/// What the decoder keeps of one source sentence: keys and values of cross-attention, a row a
/// token.
struct SourceMemory {
  std::int64_t length = 0;  ///< S
  KeyValueRows rows;        ///< [L, key_value_stride(D)] each
};

/// Keys and values of target tokens, rows as above by slot. A slot is read by every hypothesis that
/// descends from it.
struct TargetCache {
  KeyValueRows rows;
};

/// One hypothesis's next step.
struct DecoderRow {
  std::int32_t token = 0;     ///< the last one
  std::int64_t position = 0;  ///< its place, from 0
  const SourceMemory* source = nullptr;
  TargetCache* cache = nullptr;
  std::span<const std::int32_t> past;  ///< slots of the places before, in their order
  std::int32_t slot = 0;               ///< of this token; no other row of the cache's has it
  float* alignment = nullptr;  ///< [S], the attention to the source (overwritten); may be null
};

/// Buffers of one thread's calls. Outlives the memories and caches that they fill.
struct EncoderDecoderScratch {
  KeyValuePool pool;  ///< of all memories and caches that the calls fill
  InferenceScratch linear;
  std::vector<float> x, normed, projected, context, inner, gate;
};

class EncoderDecoder {
 public:
  explicit EncoderDecoder(std::unique_ptr<EncoderDecoderWeights> weights);
  EncoderDecoder(EncoderDecoder&&) noexcept;
  EncoderDecoder& operator=(EncoderDecoder&&) noexcept;
  ~EncoderDecoder();

  [[nodiscard]] std::int64_t width() const;              ///< D
  [[nodiscard]] std::int64_t source_vocabulary() const;  ///< rows of the source embedding
  [[nodiscard]] std::int64_t target_vocabulary() const;  ///< V
  /// Most tokens of a source and of a target; INT64_MAX where positions are computed.
  [[nodiscard]] std::int64_t source_positions() const;
  [[nodiscard]] std::int64_t target_positions() const;
  [[nodiscard]] bool is_int8() const;
  /// Bytes of all weights in memory.
  [[nodiscard]] std::int64_t bytes() const;

  /// One memory a source; each source has 1 to source_positions() ids of the source vocabulary.
  [[nodiscard]] std::vector<SourceMemory> encode(
      std::span<const std::span<const std::int32_t>> sources, EncoderDecoderScratch& scratch) const;

  /// hidden[N,D] = what the projection onto the target vocabulary takes, a row each (overwrites).
  /// Caches, made of the same scratch's pool, grow as needed.
  void decode(std::span<const DecoderRow> rows, EncoderDecoderScratch& scratch,
              tensor::View<float> hidden) const;

  /// From hidden rows to logits [N,V].
  [[nodiscard]] const InferenceLinear& projection() const;

 private:
  std::unique_ptr<EncoderDecoderWeights> weights_;
};

/// Builds the network of `directory`. Throws Error(kData) naming the variable when one is missing,
/// has another shape than the others ask for, is not finite, or asks for what is not known here.
[[nodiscard]] EncoderDecoder load_encoder_decoder(const CTranslate2Directory& directory,
                                                  ComputeType compute);

}  // namespace nativo::model
