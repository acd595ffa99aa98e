// dist.gradient_type = "bf16": what crosses between nodes, and what it changes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "train/ranks.h"

namespace nativo::train {
namespace {

using micro::Nodes;
using micro::Outcome;

class GradientTypeTest : public micro::RanksTest {
 protected:
  Outcome run_with(const std::string& name, const Nodes& nodes, const std::string& type,
                   std::int64_t stage) {
    dist_.zero = stage;
    dist_.gradient_type = type;
    return run(name, nodes, [](TrainInput& input) {
      input.options.micro_batch = 4;  // one a step: the stages sum the same numbers
      input.options.eval_every = 0;
      input.options.checkpoint_every = 0;
    });
  }
};

TEST_F(GradientTypeTest, OnOneNodeNothingIsRounded) {
  for (const std::int64_t stage : {1, 3}) {
    const std::string name = std::to_string(stage);
    const Outcome f32 = run_with(name, {0, 0, 0}, "f32", stage);
    EXPECT_TRUE(run_with(name + "-bf16", {0, 0, 0}, "bf16", stage).weights == f32.weights);
  }
}

TEST_F(GradientTypeTest, BetweenNodesItIsWithinBf16sRounding) {
  const Nodes nodes{0, 0, 1, 1};
  run_with("f32", nodes, "f32", 1);
  const std::vector<double> exact = losses("f32");
  const Outcome first = run_with("first", nodes, "bf16", 1);
  const std::vector<double> rounded = losses("first");
  ASSERT_EQ(rounded.size(), exact.size());
  bool differs = false;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    // Each element of the gradient is off by 2^-8 of its nodes' sums at most, the norm as much;
    // AdamW moves weights by lr times a ratio of gradients, the loss by far less.
    EXPECT_NEAR(rounded[i], exact[i], std::abs(exact[i]) / 128.0) << i;
    differs = differs || rounded[i] != exact[i];
  }
  EXPECT_TRUE(differs);
  EXPECT_TRUE(run_with("again", nodes, "bf16", 1).weights == first.weights);
  for (const std::int64_t stage : {2, 3}) {
    const Outcome other = run_with(fmt::format("stage-{}", stage), nodes, "bf16", stage);
    EXPECT_TRUE(other.weights == first.weights) << stage;
  }
}

// Of all-reduced gradients all is gradients but a few small sums; of sharded ones the parameters
// cross as well.
TEST_F(GradientTypeTest, HalfTheBytesCross) {
  for (const Nodes& nodes : {Nodes{0, 1}, Nodes{0, 0, 1, 1}}) {
    const std::size_t weights = static_cast<std::size_t>(config_.parameter_count()) * sizeof(float);
    const auto sent = [&](const char* type, std::int64_t stage) {
      const std::string name = fmt::format("{}-{}-{}", type, stage, nodes.size());
      return static_cast<double>(run_with(name, nodes, type, stage).sent);
    };
    EXPECT_NEAR(sent("bf16", 0) / sent("f32", 0), 0.5, 0.05);
    // Seven steps: of each node's sums the other node's half crosses.
    const double saved = sent("f32", 1) - sent("bf16", 1);
    EXPECT_NEAR(saved / (7.0 * static_cast<double>(weights) / 2.0), 1.0, 0.01);
  }
}

TEST_F(GradientTypeTest, AnotherTypeIsRefused) {
  dist_.gradient_type = "f16";
  const Outcome outcome = run("refused", {0});
  ASSERT_EQ(outcome.messages.size(), 1U);
  EXPECT_NE(outcome.messages[0].find("f16"), std::string::npos);
}

}  // namespace
}  // namespace nativo::train
