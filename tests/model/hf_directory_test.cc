#include "model/hf_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/scratch.h"
#include "io/faulty_disk.h"
#include "io/file.h"
#include "model/decoder.h"
#include "model/safetensors.h"

namespace nativo::model {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

DecoderConfig micro_config(bool tied) {
  DecoderConfig config;
  config.vocab_size = 40;
  config.hidden_size = 16;
  config.intermediate_size = 24;
  config.layers = 2;
  config.heads = 2;
  config.kv_heads = 1;
  config.head_dim = 8;
  config.max_positions = 64;
  config.sliding_window = 32;
  config.tie_embeddings = tied;
  return config;
}

class HfDirectoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = scratch_path();
    fs::remove_all(root_);
    fs::create_directories(root_);
    folder_ = root_ / "model";
  }
  void TearDown() override { fs::remove_all(root_); }

  static Decoder make(bool tied = false, std::uint64_t seed = 3) {
    Decoder decoder(micro_config(tied));
    decoder.initialize(seed);
    return decoder;
  }

  // Saves the micro model with its tensor list changed, and without digests.
  template <class Change>
  void save_changed(bool tied, const Change& change) {
    const Decoder decoder = make(tied);
    fs::remove_all(folder_);
    save_decoder(folder_, decoder, {.type = StorageType::kF32}, io::quick_disk());
    fs::remove(folder_ / kDigestsFile);
    std::vector<TensorToWrite> tensors;
    for (const Parameter& parameter : decoder.parameters()) {
      tensors.push_back({parameter.name, parameter.shape, parameter.value});
    }
    change(tensors);
    write_safetensors(folder_ / "model.safetensors", tensors, StorageType::kF32);
  }

  std::string load_failure(ExitCode code = ExitCode::kData) {
    try {
      (void)load_decoder(folder_);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return std::string(error.what()) + " | " + error.hint();
    }
    return "loaded";
  }

  fs::path root_;
  fs::path folder_;
};

void expect_equal(const Decoder& a, const Decoder& b) {
  ASSERT_EQ(a.parameters().size(), b.parameters().size());
  for (std::size_t i = 0; i < a.parameters().size(); ++i) {
    const Parameter& left = a.parameters()[i];
    const Parameter& right = b.parameters()[i];
    EXPECT_EQ(left.name, right.name);
    EXPECT_TRUE(std::ranges::equal(left.value, right.value)) << left.name;
  }
}

TEST_F(HfDirectoryTest, F32ComesBackBitForBit) {
  for (const bool tied : {false, true}) {
    const Decoder decoder = make(tied);
    fs::remove_all(folder_);
    save_decoder(folder_, decoder, {.type = StorageType::kF32}, io::quick_disk());
    const Decoder loaded = load_decoder(folder_);
    EXPECT_EQ(loaded.config(), decoder.config());
    expect_equal(loaded, decoder);
  }
}

TEST_F(HfDirectoryTest, HalfTypesRoundEachWeight) {
  const Decoder decoder = make();
  for (const StorageType type : {StorageType::kBf16, StorageType::kF16}) {
    save_decoder(folder_, decoder, {.type = type}, io::quick_disk());
    const Decoder loaded = load_decoder(folder_);
    const float weight = decoder.parameters()[0].value[7];
    EXPECT_EQ(loaded.parameters()[0].value[7], type == StorageType::kBf16
                                                   ? bf16_to_f32(f32_to_bf16(weight))
                                                   : f16_to_f32(f32_to_f16(weight)));
    const Json config = parse_json(io::read_file(folder_ / "config.json"), "config");
    EXPECT_EQ(config["torch_dtype"], torch_name(type));
  }
}

TEST_F(HfDirectoryTest, ShardsHoldTheSameModel) {
  const Decoder decoder = make();
  save_decoder(folder_, decoder, {.type = StorageType::kF32, .max_shard_bytes = 4000},
               io::quick_disk());
  EXPECT_FALSE(fs::exists(folder_ / "model.safetensors"));
  const Json index = parse_json(io::read_file(folder_ / "model.safetensors.index.json"), "index");
  EXPECT_EQ(index["weight_map"].size(), decoder.parameters().size());
  EXPECT_EQ(index["metadata"]["total_size"], 4 * decoder.config().parameter_count());
  EXPECT_THAT(index["weight_map"]["model.embed_tokens.weight"].get<std::string>(),
              HasSubstr("model-00001-of-000"));
  expect_equal(load_decoder(folder_), decoder);

  // A shard that the index does not know, and a tensor that its shard does not hold.
  fs::remove(folder_ / kDigestsFile);
  Json lies = index;
  lies["weight_map"]["model.extra"] = lies["weight_map"]["model.embed_tokens.weight"];
  std::ofstream(folder_ / "model.safetensors.index.json") << lies.dump();
  EXPECT_THAT(load_failure(), HasSubstr(R"("model.extra" is not in model-00001)"));
  lies = index;
  lies["weight_map"]["model.embed_tokens.weight"] = "../outside.safetensors";
  std::ofstream(folder_ / "model.safetensors.index.json") << lies.dump();
  EXPECT_THAT(load_failure(), HasSubstr("not in a .safetensors file of this folder"));
}

TEST_F(HfDirectoryTest, NamesTensorsThatAreMissingUnexpectedOrOfAnotherShape) {
  const std::vector<float> extra(40 * 16, 0.5f);
  save_changed(false, [](auto& tensors) { tensors.pop_back(); });
  EXPECT_THAT(load_failure(), HasSubstr("the weights hold only"));
  save_changed(false, [&](auto& tensors) {
    tensors.pop_back();
    tensors.push_back({"model.foreign", {40, 16}, extra});
  });
  EXPECT_THAT(load_failure(), HasSubstr(R"(tensor "lm_head.weight" is missing)"));
  save_changed(false, [&](auto& tensors) { tensors.push_back({"model.foreign", {640}, extra}); });
  EXPECT_THAT(load_failure(), HasSubstr(R"(unexpected tensor "model.foreign")"));
  save_changed(false, [](auto& tensors) { std::swap(tensors[0].shape[0], tensors[0].shape[1]); });
  EXPECT_THAT(load_failure(), AllOf(HasSubstr("model.embed_tokens.weight"), HasSubstr("[16, 40]"),
                                    HasSubstr("[40, 16]")));
}

TEST_F(HfDirectoryTest, TiedHeadMayRepeatTheEmbeddingButNotDiffer) {
  std::vector<float> other(40 * 16, 0.5f);
  save_changed(true, [](auto& tensors) {
    tensors.push_back({"lm_head.weight", tensors[0].shape, tensors[0].values});
  });
  EXPECT_EQ(load_failure(), "loaded");
  save_changed(true, [&](auto& tensors) {
    tensors.push_back({"lm_head.weight", {40, 16}, other});
  });
  EXPECT_THAT(load_failure(), HasSubstr(R"(unexpected tensor "lm_head.weight")"));
}

TEST_F(HfDirectoryTest, OldRotaryBuffersAreIgnored) {
  const std::vector<float> buffer(4, 1.0f);
  save_changed(false, [&](auto& tensors) {
    tensors.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", {4}, buffer});
  });
  EXPECT_EQ(load_failure(), "loaded");
}

TEST_F(HfDirectoryTest, PickledWeightsAreRefusedWithTheWayOut) {
  save_decoder(folder_, make(), {}, io::quick_disk());
  fs::remove(folder_ / kDigestsFile);
  fs::remove(folder_ / "model.safetensors");
  EXPECT_THAT(load_failure(ExitCode::kMissingInput), HasSubstr("neither model.safetensors"));
  std::ofstream(folder_ / "pytorch_model.bin") << "x";
  EXPECT_THAT(load_failure(ExitCode::kMissingInput),
              AllOf(HasSubstr("pytorch_model.bin"), HasSubstr("safe_serialization=True")));
  fs::remove(folder_ / "config.json");
  EXPECT_THAT(load_failure(ExitCode::kMissingInput), HasSubstr("no config.json"));
  fs::remove_all(folder_);
  EXPECT_THAT(load_failure(ExitCode::kMissingInput), HasSubstr("no such folder"));
}

TEST_F(HfDirectoryTest, EveryListedFileIsHeldToItsDigest) {
  save_decoder(folder_, make(), {.extra_files = {{"tokenizer.model", "pieces"}}}, io::quick_disk());
  EXPECT_EQ(io::read_file(folder_ / "tokenizer.model"), "pieces");
  EXPECT_EQ(verify_digests(folder_).size(), 3u);
  for (const char* name : {"tokenizer.model", "config.json", "model.safetensors"}) {
    const std::string whole = io::read_file(folder_ / name);
    std::string flipped = whole;
    flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 4);
    std::ofstream(folder_ / name, std::ios::binary) << flipped;
    EXPECT_THAT(load_failure(), AllOf(HasSubstr(name), HasSubstr("SHA-256")));
    fs::remove(folder_ / name);
    // Without weights or config there is nothing to load at all; the rest is missed by its digest.
    if (std::string(name) == "tokenizer.model") {
      EXPECT_THAT(load_failure(), AllOf(HasSubstr(name), HasSubstr("missing")));
    }
    std::ofstream(folder_ / name, std::ios::binary) << whole;
  }
  EXPECT_EQ(load_failure(), "loaded");

  Json digests = parse_json(io::read_file(folder_ / kDigestsFile), "digests");
  digests["files"].erase("config.json");
  std::ofstream(folder_ / kDigestsFile) << digests.dump();
  EXPECT_THAT(load_failure(), AllOf(HasSubstr("config.json"), HasSubstr("does not vouch")));
  std::ofstream(folder_ / kDigestsFile) << R"({"version":1,"files":{"../x":"00"}})";
  EXPECT_THAT(load_failure(), HasSubstr("not a file of this folder"));
  std::ofstream(folder_ / kDigestsFile) << R"({"version":3,"files":{}})";
  EXPECT_THAT(load_failure(), HasSubstr("version 1 or 2"));
}

TEST_F(HfDirectoryTest, ForeignFoldersAreNotReplaced) {
  fs::create_directories(folder_);
  save_decoder(folder_, make(), {}, io::quick_disk());       // empty: taken
  save_decoder(folder_ / "", make(), {}, io::quick_disk());  // ours: replaced
  fs::create_directories(root_ / "home");
  std::ofstream(root_ / "home" / "thesis.tex") << "years";
  EXPECT_THROW(save_decoder(root_ / "home", make(), {}, io::quick_disk()), Error);
  EXPECT_TRUE(fs::exists(root_ / "home" / "thesis.tex"));
}

TEST_F(HfDirectoryTest, WhatAKillLeftIsCollectedOrPutBack) {
  const Decoder old = make(false, 1);
  const Decoder changed = make(false, 2);
  const SaveOptions f32 = {.type = StorageType::kF32};
  const fs::path replaced = root_ / "model.replaced";
  const fs::path partial = root_ / "model.partial";
  // A kill between the two renames: the old model is there under the other name.
  save_decoder(folder_, old, f32, io::quick_disk());
  fs::rename(folder_, replaced);
  fs::create_directories(partial);
  expect_equal(load_decoder(folder_ / ""), old);
  EXPECT_TRUE(fs::exists(folder_));
  EXPECT_FALSE(fs::exists(replaced));
  // The same before a save: the old one stays until the new one is whole.
  fs::rename(folder_, replaced);
  io::FaultyDisk full({.call = 6, .for_good = true});
  EXPECT_THROW(save_decoder(folder_, changed, f32, full), Error);
  expect_equal(load_decoder(folder_), old);
  // A kill after both: the new model is in its place.
  fs::copy(folder_, replaced, fs::copy_options::recursive);
  expect_equal(load_decoder(folder_), old);
  EXPECT_FALSE(fs::exists(replaced));
  fs::copy(folder_, replaced, fs::copy_options::recursive);
  fs::create_directories(partial);
  save_decoder(folder_, changed, f32, io::quick_disk());
  expect_equal(load_decoder(folder_), changed);
  EXPECT_FALSE(fs::exists(replaced));
  EXPECT_FALSE(fs::exists(partial));
  // A reader leaves alone what is not ours, or is being written.
  for (const fs::path& path : {partial, replaced}) fs::create_directories(path);
  expect_equal(load_decoder(folder_), changed);
  for (const fs::path& path : {partial, replaced}) EXPECT_TRUE(fs::exists(path)) << path;
}

TEST_F(HfDirectoryTest, AFullDiskAtAnyCallLeavesTheOldModel) {
  const Decoder old = make(false, 1);
  const Decoder changed = make(false, 2);
  io::FaultyDisk counting;
  save_decoder(root_ / "count", changed, {.type = StorageType::kF32}, counting);
  ASSERT_GT(counting.calls(), 10);
  for (std::int64_t call = 1; call <= counting.calls(); ++call) {
    fs::remove_all(folder_);
    save_decoder(folder_, old, {.type = StorageType::kF32}, io::quick_disk());
    io::FaultyDisk disk({.call = call, .for_good = true, .torn = true});
    try {
      save_decoder(folder_, changed, {.type = StorageType::kF32}, disk);
      FAIL() << "call " << call << " did not fail";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kTryAgain);
    }
    // Once the rename has happened the new one is there; before, the old one.
    if (fs::exists(folder_)) {
      const Decoder loaded = load_decoder(folder_);
      const bool is_old = loaded.parameters()[0].value[0] == old.parameters()[0].value[0];
      expect_equal(loaded, is_old ? old : changed);
    } else {
      ADD_FAILURE() << "call " << call << ": neither the old nor the new model is left";
    }
    EXPECT_FALSE(fs::exists(root_ / "model.partial")) << call;
  }
}

}  // namespace
}  // namespace nativo::model
