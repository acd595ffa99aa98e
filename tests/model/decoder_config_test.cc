#include "model/decoder_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace nativo::model {
namespace {

using testing::HasSubstr;

/// Mistral 7B v0.1's config.json.
Json mistral() {
  return parse_json(R"({"architectures": ["MistralForCausalLM"], "bos_token_id": 1,
    "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02,
    "intermediate_size": 14336, "max_position_embeddings": 32768, "model_type": "mistral",
    "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096,
    "tie_word_embeddings": false, "torch_dtype": "bfloat16", "transformers_version": "4.34.0",
    "use_cache": true, "vocab_size": 32000})",
                    "config.json");
}

TEST(DecoderConfig, ReadsMistral7B) {
  const DecoderConfig config = config_from_json(mistral(), "config.json");
  EXPECT_EQ(config.head_dim, 128);
  EXPECT_EQ(config.kv_heads, 8);
  EXPECT_EQ(config.sliding_window, 4096);
  EXPECT_EQ(config.parameter_count(), 7'241'732'096);
}

/// Llama 3.1 8B's config.json.
Json llama3() {
  return parse_json(R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false,
    "bos_token_id": 128000, "eos_token_id": [128001, 128008, 128009], "hidden_act": "silu",
    "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 131072,
    "mlp_bias": false, "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32,
    "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling":
    {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
     "original_max_position_embeddings": 8192, "rope_type": "llama3"}, "rope_theta": 500000.0,
    "tie_word_embeddings": false, "vocab_size": 128256})",
                    "config.json");
}

/// Qwen2.5 0.5B's config.json.
Json qwen2() {
  return parse_json(R"({"architectures": ["Qwen2ForCausalLM"], "bos_token_id": 151643,
    "eos_token_id": 151645, "hidden_act": "silu", "hidden_size": 896, "intermediate_size": 4864,
    "max_position_embeddings": 32768, "max_window_layers": 21, "model_type": "qwen2",
    "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768,
    "tie_word_embeddings": true, "use_sliding_window": false, "vocab_size": 151936})",
                    "config.json");
}

/// Qwen3 0.6B's config.json.
Json qwen3() {
  return parse_json(R"({"architectures": ["Qwen3ForCausalLM"], "attention_bias": false,
    "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu",
    "hidden_size": 1024, "intermediate_size": 3072, "max_position_embeddings": 40960,
    "max_window_layers": 28, "model_type": "qwen3", "num_attention_heads": 16,
    "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": null,
    "rope_theta": 1000000, "sliding_window": null, "tie_word_embeddings": true,
    "use_sliding_window": false, "vocab_size": 151936})",
                    "config.json");
}

TEST(DecoderConfig, ReadsLlama31) {
  const DecoderConfig config = config_from_json(llama3(), "config.json");
  EXPECT_EQ(config.family, Family::kLlama);
  EXPECT_EQ(config.parameter_count(), 8'030'261'248);
  EXPECT_EQ(config.sliding_window, std::nullopt);
  EXPECT_EQ(config.rope_scaling.type, RopeScaling::Type::kLlama3);
  EXPECT_EQ(config.rope_scaling.factor, 8.0);
  EXPECT_EQ(config.rope_scaling.original_max_positions, 8192);
  EXPECT_EQ(config.eos_id, 128001);
  EXPECT_EQ(config.more_eos_ids, (std::vector<std::int32_t>{128008, 128009}));
}

TEST(DecoderConfig, ReadsQwen) {
  const DecoderConfig two = config_from_json(qwen2(), "config.json");
  EXPECT_EQ(two.parameter_count(), 494'032'768);
  EXPECT_TRUE(two.has_qkv_bias());
  EXPECT_FALSE(two.has_window(23));
  const DecoderConfig three = config_from_json(qwen3(), "config.json");
  EXPECT_EQ(three.parameter_count(), 596'049'920);
  EXPECT_TRUE(three.has_qk_norm());
  EXPECT_EQ(three.q_width(), 2048);
}

TEST(DecoderConfig, QwensWindowHoldsInTheUpperLayers) {
  Json json = qwen2();
  json["use_sliding_window"] = true;
  const DecoderConfig config = config_from_json(json, "config.json");
  EXPECT_FALSE(config.has_window(20));
  EXPECT_TRUE(config.has_window(21));
  EXPECT_EQ(config.sliding_window, 32768);
}

TEST(DecoderConfig, EveryFamilyIsReadBackAsItWasWritten) {
  Json window = qwen2();
  window["use_sliding_window"] = true;
  Json yarn = qwen3();
  yarn["rope_scaling"] = {
      {"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32768}};
  Json biases = llama3();
  biases["attention_bias"] = biases["mlp_bias"] = true;
  biases["rope_scaling"] = {{"type", "linear"}, {"factor", 2.0}};
  for (const Json& json : {mistral(), llama3(), qwen2(), qwen3(), window, yarn, biases}) {
    const DecoderConfig config = config_from_json(json, "config.json");
    EXPECT_EQ(config_from_json(config_to_json(config, "bfloat16"), "x"), config) << json;
  }
}

TEST(DecoderConfig, WhatIsWrittenIsReadBack) {
  for (const bool window : {true, false}) {
    DecoderConfig config = preset("tiny", 4096);
    if (!window) config.sliding_window.reset();
    config.tie_embeddings = !window;
    config.rms_norm_eps = 3.5e-6;
    EXPECT_EQ(config_from_json(config_to_json(config, "float32"), "x"), config);
  }
  EXPECT_EQ(config_to_json(preset("tiny", 4096), "bfloat16")["torch_dtype"], "bfloat16");
}

TEST(DecoderConfig, ReadsTransformers5RopeParameters) {
  Json json = mistral();
  json.erase("rope_theta");
  json["rope_parameters"] = {{"rope_theta", 1e6}, {"rope_type", "default"}};
  EXPECT_EQ(config_from_json(json, "x").rope_theta, 1e6);
}

struct Bad {
  const char* key;
  const char* value;  ///< JSON; empty = the key is removed
  const char* message;
};

TEST(DecoderConfig, WhatCannotBeIsADataErrorThatNamesTheKey) {
  const std::vector<Bad> all{{"model_type", R"("gemma")", "gemma"},
                             {"model_type", "", "is missing"},
                             {"model_type", "7", "not supported"},
                             {"vocab_size", "", "is missing"},
                             {"vocab_size", "0", "between 1"},
                             {"vocab_size", "-5", "between 1"},
                             {"vocab_size", "3.5", "whole number"},
                             {"vocab_size", R"("many")", "whole number"},
                             {"hidden_size", "18446744073709551615", "between 1"},
                             {"hidden_size", "4097", "not a multiple"},
                             {"num_attention_heads", "30", "not a multiple"},
                             {"num_hidden_layers", "1000000", "between 1"},
                             {"head_dim", "127", "even"},
                             {"head_dim", "1000000", "out of range"},
                             {"rms_norm_eps", "0", "positive"},
                             {"rms_norm_eps", "5", "at most 1"},
                             {"rope_theta", "-1", "positive"},
                             {"rope_theta", R"("x")", "number"},
                             {"rope_scaling", R"({"type": "linear"})", "is missing"},
                             {"rope_scaling", R"({"type": "longrope"})", "longrope"},
                             {"rope_scaling", R"({"type": "linear", "factor": 0})", "positive"},
                             {"rope_parameters", R"({"rope_type": "yarn"})", "is missing"},
                             {"mlp_bias", "true", "biases"},
                             {"layer_types", R"(["full_attention"])", "list of 32"},
                             {"rope_parameters", "[]", "object"},
                             {"hidden_act", R"("gelu")", "silu"},
                             {"attention_bias", "true", "biases"},
                             {"quantization_config", "{}", "quantized"},
                             {"tie_word_embeddings", "1", "true or false"},
                             {"eos_token_id", "32000", "between 0"},
                             {"eos_token_id", "[]", "empty"},
                             {"sliding_window", "0", "between 1"}};
  for (const Bad& bad : all) {
    Json json = mistral();
    if (*bad.value == '\0') {
      json.erase(bad.key);
    } else {
      json[bad.key] = parse_json(bad.value, "test");
    }
    try {
      static_cast<void>(config_from_json(json, "some/config.json"));
      ADD_FAILURE() << bad.key << " = " << bad.value << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kData);
      EXPECT_THAT(error.what(), HasSubstr("some/config.json"));
      EXPECT_THAT(error.what(), HasSubstr(bad.message)) << bad.key << " = " << bad.value;
    }
  }
  EXPECT_THROW(static_cast<void>(config_from_json(Json::array(), "x")), Error);
}

TEST(DecoderConfig, AnUnsupportedFamilyIsToldWhatIsSupported) {
  Json json = mistral();
  json["model_type"] = "gemma";
  try {
    static_cast<void>(config_from_json(json, "x"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.hint(), HasSubstr("mistral"));
  }
}

TEST(DecoderConfig, TinyHas2To5MillionParameters) {
  const DecoderConfig config = preset("tiny", 4096);
  EXPECT_GE(config.parameter_count(), 2'000'000);
  EXPECT_LE(config.parameter_count(), 5'000'000);
  EXPECT_EQ(config.sliding_window, 256);
  EXPECT_THROW(static_cast<void>(preset("huge", 4096)), Error);
  EXPECT_THROW(static_cast<void>(preset("tiny", 0)), Error);
}

}  // namespace
}  // namespace nativo::model
