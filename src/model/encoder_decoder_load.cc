// From the variables of a CTranslate2 file to the weights of an EncoderDecoder. Every variable is
// either understood or refused: a model is never run without a part of it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>

#include "base/error.h"
#include "base/strings.h"
#include "model/encoder_decoder.h"
#include "model/encoder_decoder_weights.h"
#include "model/safetensors_header.h"

namespace nativo::model {
namespace {

constexpr std::int64_t kMaxLayers = 256;
constexpr std::int64_t kMaxHeads = 1024;
constexpr std::int64_t kComputedPositions = 1024;  // kept; those beyond are computed as needed
constexpr float kOldInt16Scale = 1000.0F;          // of files that do not say

/// A matrix as the file holds it: f32 values, or int8 codes with a scale a row.
struct Matrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<float> values;
  std::vector<std::int8_t> codes;
  std::vector<float> scales;
};

class Loader {
 public:
  Loader(const CTranslate2Directory& directory, ComputeType compute)
      : file_(*directory.file), epsilon_(directory.layer_norm_epsilon) {
    rounding_ = file_.version() >= 5 ? ops::Int8Rounding::kNearest : ops::Int8Rounding::kTruncate;
    const CTranslate2Variable& projection = need("decoder/projection/weight");
    const bool integers =
        projection.type == CTranslate2Type::kI8 || projection.type == CTranslate2Type::kI16;
    int8_ = compute == ComputeType::kInt8 || (compute == ComputeType::kStored && integers);
  }

  std::unique_ptr<EncoderDecoderWeights> load(std::int64_t source_tokens,
                                              std::int64_t target_tokens) {
    auto weights = std::make_unique<EncoderDecoderWeights>();
    weights->int8 = int8_;
    const bool numbered = file_.find("encoder/embeddings_0/weight") != nullptr;
    if (file_.find("encoder/embeddings_1/weight") != nullptr) {
      file_.fail("encoder/embeddings_1/weight", "several source features are not known here");
    }
    stack(weights->encoder, "encoder", numbered ? "encoder/embeddings_0" : "encoder/embeddings");
    stack(weights->decoder, "decoder", "decoder/embeddings");
    width_ = weights->width = weights->encoder.embedding->width;
    if (weights->decoder.embedding->width != width_) {
      file_.fail("decoder/embeddings/weight", "is not as wide as the encoder's");
    }
    layers(weights->encoder, "encoder", false);
    layers(weights->decoder, "decoder", true);
    weights->projection = linear("decoder/projection", 0, width_);
    if (weights->projection.outputs() != target_tokens) {
      file_.fail("decoder/projection/weight",
                 fmt::format("has {} rows for {} target tokens", weights->projection.outputs(),
                             target_tokens));
    }
    check_rows(*weights->encoder.embedding, "encoder/embeddings", source_tokens);
    check_rows(*weights->decoder.embedding, "decoder/embeddings", target_tokens);
    if (file_.find("decoder/scale_outputs") != nullptr) {
      weights->output_scale = single("decoder/scale_outputs");
    }
    alignment(*weights);
    refuse_the_rest();
    weights->bytes = bytes_;
    return weights;
  }

 private:
  const CTranslate2Variable* find(const std::string& name) {
    const CTranslate2Variable* variable = file_.find(name);
    if (variable != nullptr) used_.insert(variable);
    return variable;
  }

  const CTranslate2Variable& need(const std::string& name) {
    const CTranslate2Variable* variable = find(name);
    if (variable == nullptr) file_.fail(name, "is missing");
    return *variable;
  }

  /// A whole number of the stack; below revision 5 the root has one for both.
  std::int64_t attribute(const std::string& scope, const std::string& name,
                         std::int64_t otherwise) {
    for (const std::string& full : {scope + "/" + name, name}) {
      if (find(full) != nullptr) return *file_.integer(full);
    }
    return otherwise;
  }

  float single(const std::string& name) {
    const CTranslate2Variable& variable = need(name);
    if (variable.elements != 1) file_.fail(name, "must be a single value");
    if (variable.type == CTranslate2Type::kF32 || variable.type == CTranslate2Type::kF16 ||
        variable.type == CTranslate2Type::kBf16) {
      float value = 0.0F;
      file_.read(variable, {&value, 1});
      return value;
    }
    return static_cast<float>(*file_.integer(name));
  }

  /// A vector of so many elements.
  std::vector<float> vector(const std::string& name, std::int64_t size) {
    const CTranslate2Variable& variable = need(name);
    if (variable.shape != std::vector<std::int64_t>{size}) {
      file_.fail(name, fmt::format("has shape {}, not [{}]", shape_text(variable.shape), size));
    }
    std::vector<float> values(static_cast<std::size_t>(size));
    file_.read(variable, values);
    bytes_ += size * static_cast<std::int64_t>(sizeof(float));
    return values;
  }

  /// rows x columns; 0 = any but none.
  Matrix stored(const std::string& name, std::int64_t rows, std::int64_t columns) {
    const CTranslate2Variable& variable = need(name);
    const auto& shape = variable.shape;
    if (shape.size() != 2 || shape[0] == 0 || shape[1] == 0 || (rows != 0 && shape[0] != rows) ||
        (columns != 0 && shape[1] != columns)) {
      const auto asked = [](std::int64_t size) { return size == 0 ? "any" : std::to_string(size); };
      file_.fail(name, fmt::format("has shape {}, not [{}, {}]", shape_text(shape), asked(rows),
                                   asked(columns)));
    }
    Matrix matrix{shape[0], shape[1], {}, {}, {}};
    if (variable.type == CTranslate2Type::kI8) {
      matrix.codes.resize(static_cast<std::size_t>(variable.elements));
      std::copy(variable.bytes.begin(), variable.bytes.end(), matrix.codes.begin());
      matrix.scales = vector(name + "_scale", matrix.rows);
      for (const float scale : matrix.scales) {
        if (scale == 0.0F) file_.fail(name + "_scale", "has a zero");
      }
      return matrix;
    }
    matrix.values.resize(static_cast<std::size_t>(variable.elements));
    if (variable.type == CTranslate2Type::kI16) {
      const std::string scale_name = name + "_scale";
      const float scale = find(scale_name) != nullptr ? single(scale_name) : kOldInt16Scale;
      if (scale == 0.0F) file_.fail(scale_name, "is zero");
      const float factor = 1.0F / scale;
      for (std::size_t i = 0; i < matrix.values.size(); ++i) {
        const auto low = static_cast<std::uint8_t>(variable.bytes[2 * i]);
        const auto high = static_cast<std::uint8_t>(variable.bytes[2 * i + 1]);
        matrix.values[i] =
            static_cast<float>(static_cast<std::int16_t>(low | (high << 8))) * factor;
      }
    } else {
      file_.read(variable, matrix.values);
    }
    return matrix;
  }

  /// The same in the form that is computed with.
  Matrix computed(const std::string& name, std::int64_t rows, std::int64_t columns) {
    Matrix matrix = stored(name, rows, columns);
    if (int8_ && matrix.codes.empty()) {
      matrix.codes.resize(matrix.values.size());
      matrix.scales.resize(static_cast<std::size_t>(matrix.rows));
      const tensor::Shape shape{matrix.rows, matrix.columns};
      ops::quantize_weight({matrix.values.data(), shape}, rounding_, {matrix.codes.data(), shape},
                           matrix.scales);
      matrix.values.clear();
    } else if (!int8_ && !matrix.codes.empty()) {
      matrix.values.resize(matrix.codes.size());
      for (std::size_t i = 0; i < matrix.codes.size(); ++i) {
        const float factor = 1.0F / matrix.scales[i / static_cast<std::size_t>(matrix.columns)];
        matrix.values[i] = static_cast<float>(matrix.codes[i]) * factor;
      }
      matrix.codes.clear();
    }
    return matrix;
  }

  InferenceLinear linear(const std::string& scope, std::int64_t outputs, std::int64_t inputs) {
    const Matrix matrix = computed(scope + "/weight", outputs, inputs);
    std::vector<float> bias;
    if (file_.find(scope + "/bias") != nullptr) bias = vector(scope + "/bias", matrix.rows);
    const tensor::Shape shape{matrix.rows, matrix.columns};
    InferenceLinear layer;
    if (int8_) {
      if (matrix.columns > (1 << 16)) file_.fail(scope + "/weight", "is too wide for int8");
      layer = {ops::Int8Weight({matrix.codes.data(), shape}, matrix.scales), rounding_,
               std::move(bias)};
    } else {
      layer = {ops::RowWeight({matrix.values.data(), shape}), std::move(bias)};
    }
    bytes_ += layer.bytes();
    return layer;
  }

  std::shared_ptr<const InferenceEmbedding> embedding(const std::string& scope) {
    const std::string name = scope + "/weight";
    auto& shared = embeddings_[&need(name)];
    if (shared != nullptr) return shared;
    Matrix matrix = computed(name, 0, 0);
    auto table = std::make_shared<InferenceEmbedding>();
    table->rows = matrix.rows;
    table->width = matrix.columns;
    table->values = std::move(matrix.values);
    table->codes = std::move(matrix.codes);
    for (const float scale : matrix.scales) table->factors.push_back(1.0F / scale);
    bytes_ += static_cast<std::int64_t>(table->values.size() * sizeof(float) + table->codes.size() +
                                        table->factors.size() * sizeof(float));
    shared = table;
    return table;
  }

  void check_rows(const InferenceEmbedding& table, const std::string& scope, std::int64_t tokens) {
    if (table.rows < tokens) {
      file_.fail(scope, fmt::format("has {} rows for {} tokens", table.rows, tokens));
    }
  }

  std::optional<InferenceNorm> norm(const std::string& scope, std::int64_t width) {
    if (file_.find(scope + "/gamma") == nullptr) return std::nullopt;
    InferenceNorm norm;
    norm.gamma = vector(scope + "/gamma", width);
    if (file_.find(scope + "/beta") != nullptr) norm.beta = vector(scope + "/beta", width);
    norm.eps = static_cast<float>(epsilon_.value_or(norm.beta.empty() ? 1e-6 : 1e-5));
    return norm;
  }

  /// All of a stack but its layers.
  void stack(TransformerStack& stack, const std::string& scope, const std::string& embeddings) {
    stack.embedding = embedding(embeddings);
    const std::int64_t width = stack.embedding->width;
    // Legacy specs are named after their size.
    const std::int64_t heads = file_.spec() == "TransformerBig" ? 16 : 8;
    stack.heads = attribute(scope, "num_heads", heads);
    if (stack.heads < 1 || stack.heads > kMaxHeads || width % stack.heads != 0) {
      file_.fail(scope + "/num_heads",
                 fmt::format("{} heads do not divide a width of {}", stack.heads, width));
    }
    stack.pre_norm = attribute(scope, "pre_norm", 1) != 0;
    const std::int64_t activation = attribute(scope, "activation", 0);
    if (activation < 0 || activation > static_cast<std::int64_t>(ops::Activation::kSigmoid)) {
      file_.fail(scope + "/activation", fmt::format("{} is unknown", activation));
    }
    stack.activation = static_cast<ops::Activation>(activation);
    stack.start_from_zero =
        scope == "decoder" && attribute(scope, "start_from_zero_embedding", 0) != 0;
    stack.embedding_scale = embedding_scale(scope, width);
    stack.embedding_norm = norm(scope + "/layernorm_embedding", width);
    stack.final_norm = norm(scope + "/layer_norm", width);
    stack.has_positions =
        file_.find(scope + "/layer_0/self_attention/relative_position_keys") == nullptr;
    if (stack.has_positions) positions(stack, scope, width);
  }

  /// A flag (int8) or the factor itself.
  float embedding_scale(const std::string& scope, std::int64_t width) {
    for (const char* name : {"/scale_embeddings", "/embeddings/multiply_by_sqrt_depth"}) {
      const CTranslate2Variable* variable = find(scope + name);
      if (variable == nullptr) continue;
      const float value = single(scope + name);
      if (variable->type != CTranslate2Type::kI8) return value;
      if (value == 0.0F) return 1.0F;
      break;
    }
    return std::sqrt(static_cast<float>(width));
  }

  void positions(TransformerStack& stack, const std::string& scope, std::int64_t width) {
    const std::string name = scope + "/position_encodings/encodings";
    if (file_.find(name) != nullptr) {
      stack.stored_positions = true;
      stack.positions = stored(name, 0, width).values;
      if (stack.positions.empty()) file_.fail(name, "must be of a floating-point type");
    } else {
      if (width < 4 || width % 2 != 0) {
        file_.fail(scope, fmt::format("a width of {} has no computed positions", width));
      }
      stack.positions.resize(static_cast<std::size_t>(kComputedPositions * width));
      for (std::int64_t i = 0; i < kComputedPositions; ++i) {
        sinusoidal_position(i, width, stack.positions.data() + i * width);
      }
    }
    bytes_ += static_cast<std::int64_t>(stack.positions.size() * sizeof(float));
  }

  void layers(TransformerStack& stack, const std::string& scope, bool cross) {
    for (std::int64_t i = 0;; ++i) {
      const std::string name = fmt::format("{}/layer_{}", scope, i);
      if (file_.find(name + "/self_attention/linear_0/weight") == nullptr) break;
      if (i == kMaxLayers) file_.fail(name, "too many layers");
      TransformerLayer layer;
      layer.self = attention(stack, name + "/self_attention", false);
      if (cross) layer.cross = attention(stack, name + "/attention", true);
      layer.feed_forward = feed_forward(name + "/ffn");
      stack.layers.push_back(std::move(layer));
    }
    if (stack.layers.empty()) file_.fail(scope + "/layer_0/self_attention", "is missing");
  }

  AttentionWeights attention(const TransformerStack& stack, const std::string& scope, bool cross) {
    AttentionWeights weights;
    const std::int64_t head = width_ / stack.heads;
    weights.input = linear(scope + "/linear_0", (cross ? 1 : 3) * width_, width_);
    if (cross) weights.keys_values = linear(scope + "/linear_1", 2 * width_, width_);
    weights.output = linear(scope + (cross ? "/linear_2" : "/linear_1"), width_, width_);
    weights.norm = norm(scope + "/layer_norm", width_);
    weights.scale = file_.find(scope + "/queries_scale") != nullptr
                        ? single(scope + "/queries_scale")
                        : 1.0F / std::sqrt(static_cast<float>(head));
    if (file_.find(scope + "/relative_position_keys") != nullptr) {
      const Matrix keys = stored(scope + "/relative_position_keys", 0, head);
      if (keys.rows % 2 == 0 || keys.values.empty()) {
        file_.fail(scope + "/relative_position_keys", "must be an odd number of rows of floats");
      }
      weights.relative_keys = keys.values;
      if (file_.find(scope + "/relative_position_values") != nullptr) {
        weights.relative_values =
            stored(scope + "/relative_position_values", keys.rows, head).values;
      }
    }
    return weights;
  }

  FeedForwardWeights feed_forward(const std::string& scope) {
    FeedForwardWeights weights;
    weights.input = linear(scope + "/linear_0", 0, width_);
    const std::int64_t inner = weights.input.outputs();
    if (file_.find(scope + "/linear_0_noact/weight") != nullptr) {
      weights.gate = linear(scope + "/linear_0_noact", inner, width_);
    }
    weights.output = linear(scope + "/linear_1", width_, inner);
    weights.norm = norm(scope + "/layer_norm", width_);
    return weights;
  }

  void alignment(EncoderDecoderWeights& weights) {
    const auto layers = static_cast<std::int64_t>(weights.decoder.layers.size());
    std::int64_t layer = attribute("decoder", "alignment_layer", -1);
    if (layer < 0) layer += layers;
    std::int64_t heads = attribute("decoder", "alignment_heads", 1);
    if (heads == 0) heads = weights.decoder.heads;
    if (layer < 0 || layer >= layers || heads < 0 || heads > weights.decoder.heads) {
      file_.fail("decoder/alignment_layer", "names no layer or more heads than there are");
    }
    weights.alignment_layer = static_cast<std::size_t>(layer);
    weights.alignment_heads = heads;
  }

  /// What was not asked for must be a flag that is off, or say what is read elsewhere.
  void refuse_the_rest() const {
    static const std::set<std::string> kElsewhere = {"unk_token",
                                                     "bos_token",
                                                     "eos_token",
                                                     "with_source_bos",
                                                     "with_source_eos",
                                                     "with_target_bos",
                                                     "num_heads",
                                                     "user_decoder_start_tokens",
                                                     "embeddings_merge",
                                                     "encoder/embeddings_merge",
                                                     "layernorm_embedding",
                                                     "with_relative_position",
                                                     "decoder/alibi_use_positive_positions"};
    for (const CTranslate2Variable& variable : file_.variables()) {
      if (used_.contains(&variable) || kElsewhere.contains(variable.name)) continue;
      const bool off =
          variable.elements == 1 && std::all_of(variable.bytes.begin(), variable.bytes.end(),
                                                [](char byte) { return byte == 0; });
      if (!off) {
        throw Error(ExitCode::kData,
                    fmt::format("{}: variable {} belongs to a form of the transformer that is not "
                                "known here",
                                file_.where(), printable(variable.name)),
                    "models of OpenNMT's and Argos's shape are read");
      }
    }
  }

  const CTranslate2File& file_;
  std::optional<double> epsilon_;
  ops::Int8Rounding rounding_ = ops::Int8Rounding::kNearest;
  bool int8_ = false;
  std::int64_t width_ = 0;
  std::int64_t bytes_ = 0;
  std::set<const CTranslate2Variable*> used_;
  std::map<const CTranslate2Variable*, std::shared_ptr<const InferenceEmbedding>> embeddings_;
};

}  // namespace

EncoderDecoder load_encoder_decoder(const CTranslate2Directory& directory, ComputeType compute) {
  const std::string& spec = directory.file->spec();
  if (!spec.empty() && spec != "TransformerSpec" && spec != "TransformerBase" &&
      spec != "TransformerBig") {
    throw Error(ExitCode::kData, fmt::format("{}: holds a {}, not an encoder-decoder transformer",
                                             directory.file->where(), printable(spec)));
  }
  return EncoderDecoder(
      Loader(directory, compute).load(directory.source->size(), directory.target->size()));
}

}  // namespace nativo::model
