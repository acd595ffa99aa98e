// Five training steps against an f64 run, with PyTorch's f32 run as the measure:
// tests/golden/adamw.
#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "model/golden.h"
#include "model/hf_directory.h"
#include "train/data_parallel.h"
#include "train/optimizer.h"

namespace nativo::train {
namespace {

using model::golden_tensor;

struct Steps {
  std::vector<double> losses;
  std::vector<double> norms;
};

Steps train(model::Decoder& decoder, const Json& file, const Json& run) {
  decoder.enable_gradients();
  AdamWSettings settings;
  settings.beta1 = file.at("beta1");
  settings.beta2 = file.at("beta2");
  settings.eps = file.at("eps");
  settings.weight_decay = file.at("weight_decay");
  settings.clip_norm = file.at("clip_norm");
  Optimizer optimizer(std::as_const(decoder).parameters(), settings);
  Steps steps;
  for (std::size_t step = 0; step < run.at("batches").size(); ++step) {
    const model::Batch batch = model::golden_batch(run.at("batches")[step]);
    const auto targets = static_cast<double>(decoder.forward(batch).targets);
    decoder.zero_gradients();
    const auto sum = decoder.forward_backward(batch, {.scale = static_cast<float>(1.0 / targets)});
    steps.losses.push_back(sum.loss / targets);
    steps.norms.push_back(DataParallel(nullptr, decoder, 0).gradient_norm());
    optimizer.update(decoder.parameters(), static_cast<std::int64_t>(step) + 1,
                     file.at("lr")[step].get<double>(), steps.norms.back());
  }
  return steps;
}

double sum_of_squares(std::span<const float> a, std::span<const float> b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double delta = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += delta * delta;
  }
  return sum;
}

double worst(const std::vector<double>& of, const Json& exact) {
  double most = 0.0;
  for (std::size_t i = 0; i < of.size(); ++i) {
    most = std::max(most, std::abs(of[i] / exact[i].get<double>() - 1.0));
  }
  return most;
}

TEST(AdamWGolden, AsCloseToF64AsPyTorchInF32) {
  const std::filesystem::path folder = model::golden_folder() / "adamw";
  const Json file = model::read_golden_json(folder / "runs.json");
  const model::SafetensorsFile final_values(folder / "final.safetensors");
  double ours = 0.0;
  double theirs = 0.0;
  double our_loss = 0.0;
  double our_norm = 0.0;
  bool clipped = false;
  bool unclipped = false;
  for (std::size_t number = 0; number < file.at("runs").size(); ++number) {
    const Json& run = file.at("runs")[number];
    model::Decoder decoder = model::load_decoder(folder);
    const Steps steps = train(decoder, file, run);
    our_loss = std::max(our_loss, worst(steps.losses, run.at("exact").at("loss")));
    our_norm = std::max(our_norm, worst(steps.norms, run.at("exact").at("grad_norm")));
    for (const double norm : steps.norms) {
      (norm > file.at("clip_norm").get<double>() ? clipped : unclipped) = true;
    }
    for (const model::Parameter& parameter : decoder.parameters()) {
      const std::string suffix = std::to_string(number) + "." + parameter.name;
      const std::vector<float> exact = golden_tensor(final_values, "exact." + suffix);
      ours += sum_of_squares(parameter.value, exact);
      theirs += sum_of_squares(golden_tensor(final_values, "torch." + suffix), exact);
    }
  }
  EXPECT_TRUE(clipped);
  EXPECT_TRUE(unclipped);
  RecordProperty("distance_over_pytorchs", std::to_string(std::sqrt(ours / theirs)));
  // Both distances are sums of many roundings, equal in size but not in value; four runs of 5,500
  // parameters leave some per cent of chance. A weight decay wrong by a thousandth is 17 times as
  // far.
  EXPECT_LT(std::sqrt(ours), 1.1 * std::sqrt(theirs)) << std::sqrt(ours / theirs);
  // PyTorch's f32 losses and norms are 2e-7 to 5e-7 from f64 here.
  EXPECT_LT(our_loss, 5e-7);
  EXPECT_LT(our_norm, 1e-6);
}

}  // namespace
}  // namespace nativo::train
