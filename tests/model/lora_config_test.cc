#include "model/lora_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "io/temp_folder.h"
#include "model/decoder_fixture.h"
#include "model/golden.h"
#include "model/peft_adapter.h"

namespace nativo::model {
namespace {

using testing::HasSubstr;

template <class Body>
std::string message(const Body& body, ExitCode code) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return std::string(error.what()) + " | " + error.hint();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

TEST(LoraConfig, TargetsAreProjectionsInEveryLayer) {
  const DecoderConfig config = small_config(false);
  const LoraConfig lora = resolve_lora({.rank = 4, .targets = {"v_proj", "q_proj"}}, config);
  ASSERT_EQ(lora.modules.size(), 4U);
  EXPECT_EQ(lora.modules[0].name(), "model.layers.0.self_attn.q_proj");
  EXPECT_EQ(lora.modules[3].name(), "model.layers.1.self_attn.v_proj");
  EXPECT_EQ(resolve_lora({.rank = 4}, config).modules.size(), 14U);
  // 4 (24 + 12) for q and 4 (12 + 12) for v, in two layers.
  EXPECT_EQ(lora_parameter_count(lora, config), 2 * (4 * 36 + 4 * 24));
  for (const LoraModule& module : resolve_lora({.rank = 1}, config).modules) {
    EXPECT_EQ(module_from_name(module.name()), module);
  }
  for (const char* name : {"model.layers.01.self_attn.q_proj", "model.layers..self_attn.q_proj",
                           "model.layers.1.self_attn.x_proj", "model.layers.-1.mlp.up_proj",
                           "model.layers.99999999999999999999.mlp.up_proj", "lm_head"}) {
    EXPECT_EQ(module_from_name(name), std::nullopt) << name;
  }
}

TEST(LoraConfig, TheScaleIsAlphaOverTheRankOrItsRoot) {
  EXPECT_DOUBLE_EQ((LoraConfig{.rank = 16, .alpha = 32.0}).scale(), 2.0);
  EXPECT_DOUBLE_EQ((LoraConfig{.rank = 16, .alpha = 32.0, .rslora = true}).scale(), 8.0);
}

TEST(LoraConfig, BadOptionsAreRefusedWithAHint) {
  const DecoderConfig config = small_config(false);
  const auto refused = [&](const LoraOptions& options) {
    return message([&] { static_cast<void>(resolve_lora(options, config)); }, ExitCode::kConfig);
  };
  EXPECT_THAT(refused({.targets = {"q_prj"}}), HasSubstr("did you mean \"q_proj\"?"));
  EXPECT_THAT(refused({.rank = 13}), HasSubstr("rank 13 does not fit q_proj of 24 x 12"));
  EXPECT_THAT(refused({.rank = 0}), HasSubstr("rank 0"));
  EXPECT_THAT(refused({.rank = 2, .alpha = 0.0}), HasSubstr("alpha"));
  EXPECT_THAT(refused({.rank = 2, .dropout = 1.0}), HasSubstr("dropout"));
  EXPECT_THAT(refused({.rank = 2, .targets = {}}), HasSubstr("no targets"));
}

TEST(LoraConfig, WhatPeftMeansAndWeDoNotComputeIsRefusedByName) {
  const Json good =
      read_golden_json(golden_folder() / "lora" / "mistral_qv" / "adapter" / "adapter_config.json");
  const LoraConfig lora = lora_config_from_json(good, "here");
  EXPECT_EQ(lora.rank, 4);
  EXPECT_DOUBLE_EQ(lora.alpha, 8.0);
  const auto refused = [&](const char* key, const Json& value) {
    Json json = good;
    json[key] = value;
    const std::string text =
        message([&] { static_cast<void>(lora_config_from_json(json, "here")); }, ExitCode::kData);
    EXPECT_THAT(text, HasSubstr("here"));
    EXPECT_THAT(text, HasSubstr(key));
  };
  refused("peft_type", "IA3");
  refused("use_dora", true);
  refused("modules_to_save", {"lm_head"});
  refused("rank_pattern", {{"q_proj", 8}});
  refused("alpha_pattern", {{"q_proj", 8}});
  refused("bias", "lora_only");
  refused("lora_bias", true);
  refused("fan_in_fan_out", true);
  refused("init_lora_weights", "pissa");
  refused("layer_replication", {{0, 1}});
  refused("trainable_token_indices", {1});
  refused("something_of_next_year", 0.5);
  refused("r", 0);
  refused("r", "8");
  refused("r", 1e9);
  refused("lora_alpha", "8");
  refused("lora_dropout", 1.0);
  refused("use_rslora", 3);
}

TEST(LoraConfig, TargetModulesAreNamedAsPeftReadsThem) {
  const DecoderConfig config = small_config(false);
  LoraConfig lora = resolve_lora({.rank = 2, .targets = {"q_proj", "up_proj"}}, config);
  EXPECT_EQ(lora_config_to_json(lora, config)["target_modules"], Json({"q_proj", "up_proj"}));
  lora.modules.erase(lora.modules.begin());  // no q_proj in layer 0
  EXPECT_EQ(lora_config_to_json(lora, config)["target_modules"],
            Json({"model.layers.1.self_attn.q_proj", "up_proj"}));
}

/// Writes an adapter of the small model whose tensors `change` may have spoiled.
template <class Change>
std::string refused_adapter(const Change& change) {
  const io::TempFolder temporary;
  Decoder decoder(small_config(false));
  decoder.attach_lora(resolve_lora({.rank = 2, .targets = {"q_proj"}}, decoder.config()), 1);
  io::posix_disk().make_folders(temporary / "adapter");
  write_adapter_files(temporary / "adapter", decoder, "");
  std::vector<TensorToWrite> tensors;
  for (const Parameter& parameter : decoder.trainable()) {
    tensors.push_back({parameter.name, parameter.shape, parameter.value});
  }
  change(tensors);
  write_safetensors(temporary / "adapter" / kAdapterWeights, tensors, StorageType::kF32);
  Decoder other(small_config(false));
  const std::string text =
      message([&] { load_adapter(other, temporary / "adapter"); }, ExitCode::kData);
  EXPECT_EQ(other.lora(), nullptr);  // nothing of it was used
  return text;
}

TEST(PeftAdapter, AnAdapterThatDoesNotFitIsRefusedBeforeItIsUsed) {
  using Tensors = std::vector<TensorToWrite>;
  EXPECT_THAT(refused_adapter([](Tensors& all) { all.pop_back(); }),
              HasSubstr("lora_B of model.layers.1.self_attn.q_proj is missing"));
  EXPECT_THAT(refused_adapter([](Tensors& all) {
                all[0].shape = {1, 24};
              }),
              HasSubstr("lora_A of model.layers.0.self_attn.q_proj has shape"));
  EXPECT_THAT(
      refused_adapter([](Tensors& all) { all[0].name = "base_model.model.lm_head.lora_A.weight"; }),
      HasSubstr("\"base_model.model.lm_head.lora_A.weight\" is not an adapter"));
  EXPECT_THAT(refused_adapter([](Tensors& all) {
                all[0].name = "base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight";
                all[1].name = "base_model.model.model.layers.2.self_attn.q_proj.lora_B.weight";
              }),
              HasSubstr("beyond the model's 2 layers"));
  EXPECT_THAT(refused_adapter([](Tensors& all) { all.clear(); }), HasSubstr("no adapter"));
}

TEST(PeftAdapter, MissingAndPickledFilesSaySo) {
  const io::TempFolder temporary;
  Decoder decoder(small_config(false));
  const auto refused = [&] {
    return message([&] { load_adapter(decoder, temporary.path()); }, ExitCode::kMissingInput);
  };
  EXPECT_THAT(refused(), HasSubstr("no adapter_config.json"));
  temporary.put("adapter_config.json", "{}");
  temporary.put("adapter_model.bin", "x");
  EXPECT_THAT(refused(), HasSubstr("pickled"));
}

TEST(PeftAdapter, AChangedByteIsNoticed) {
  const io::TempFolder temporary;
  Decoder decoder(small_config(false));
  decoder.attach_lora(resolve_lora({.rank = 2}, decoder.config()), 1);
  save_adapter(temporary / "adapter", decoder, "");
  save_adapter(temporary / "adapter", decoder, "again");  // ours: replaced
  std::string bytes = io::read_file(temporary / "adapter" / kAdapterWeights);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  temporary.put("adapter/adapter_model.safetensors", bytes);
  Decoder other(small_config(false));
  EXPECT_THAT(message([&] { load_adapter(other, temporary / "adapter"); }, ExitCode::kData),
              HasSubstr("SHA-256"));
  temporary.put("mine/notes.txt", "x");
  EXPECT_THAT(message([&] { save_adapter(temporary / "mine", decoder, ""); }, ExitCode::kData),
              HasSubstr("not an adapter that nativo wrote"));
}

}  // namespace
}  // namespace nativo::model
