// What becomes of a loss that is not finite or far off: the batch is named, and stop, skip and
// rollback do what they say, with the same bits however often the run is stopped.
#include "train/spikes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "train/checkpoint.h"
#include "train/micro.h"
#include "train/plan.h"
#include "train/schedule.h"
#include "train/step.h"

namespace nativo::train {
namespace {

namespace fs = std::filesystem;
using micro::TrainTest;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using SpikesTest = TrainTest;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr std::int32_t kPoison = 1;  // no example of micro::examples() has it

// A model to which one token is poison.
model::Decoder poisoned_decoder() {
  model::Decoder decoder = micro::decoder();
  const auto width = static_cast<std::size_t>(micro::config().hidden_size);
  decoder.parameters()[0].value[kPoison * width] = std::numeric_limits<float>::quiet_NaN();
  return decoder;
}

// Data with one example that holds the poison: it comes at step 6 and then once an epoch.
TrainInput poisoned_input(model::Decoder& decoder, const fs::path& dir, const char* on_spike) {
  TrainInput input = micro::input(decoder, dir);
  TrainPlan plan(input.train, input.options, micro::config());
  Example& poisoned = input.train[plan.rows(6, 0).back()->pieces[0].example];
  poisoned.tokens[1] = kPoison;
  poisoned.id = "the-poison";
  poisoned.source = "wells";
  input.options.on_spike = on_spike;
  return input;
}

std::vector<Json> lines_of(const fs::path& dir) {
  std::vector<Json> lines;
  for (const std::string& line : micro::metrics(dir)) lines.push_back(parse_json(line, "metrics"));
  return lines;
}

TEST_F(SpikesTest, StopNamesTheBatchAndChangesNothing) {
  model::Decoder decoder = poisoned_decoder();
  TrainInput input = poisoned_input(decoder, root_, "stop");
  input.options.checkpoint_every = 1;
  std::int64_t spiked = 0;
  try {
    train(input);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("the loss is nan"), HasSubstr("the-poison"),
                                    HasSubstr("(sources: wells)")));
    EXPECT_THAT(error.hint(), HasSubstr("train.on_spike"));
    spiked = std::stoll(std::string(error.what()).substr(5));
  }
  EXPECT_EQ(spiked, 6);
  EXPECT_EQ(list_checkpoints(root_ / "checkpoints").back(), spiked - 1);
  const std::string events = io::read_file(root_ / "events.jsonl");
  EXPECT_THAT(events, AllOf(HasSubstr(R"("event":"spike")"), HasSubstr(R"("action":"stop")"),
                            HasSubstr("the-poison")));
}

TEST_F(SpikesTest, SkipLeavesTheStepOutAndCountsOnlyUpdates) {
  model::Decoder decoder = poisoned_decoder();
  TrainInput input = poisoned_input(decoder, root_, "skip");
  const TrainResult result = train(input);
  EXPECT_EQ(result.skipped_steps, 3);  // once an epoch
  EXPECT_EQ(result.rollbacks, 0);
  EXPECT_TRUE(std::isfinite(result.loss));
  int spikes = 0;
  for (const Json& line : lines_of(root_)) {
    if (!line.contains("spikes")) continue;
    ++spikes;
    const Json& spike = line["spikes"][0];
    EXPECT_EQ(spike["step"], line["step"]);
    EXPECT_EQ(spike["action"], "skip");
    EXPECT_EQ(spike["what"], "loss");
    EXPECT_TRUE(line["loss"].is_null() && spike["value"].is_null());
    EXPECT_THAT(spike["examples"], ::testing::Contains("the-poison"));
    EXPECT_EQ(spike["sources"], Json::array({"wells"}));
  }
  EXPECT_EQ(spikes, 3);

  // By hand: the same batches, those with the poison left out, AdamW counting what is left.
  model::Decoder expected = poisoned_decoder();
  expected.enable_gradients();
  Optimizer optimizer(expected.parameters(), {.beta1 = input.options.beta1,
                                              .beta2 = input.options.beta2,
                                              .eps = input.options.eps,
                                              .weight_decay = input.options.weight_decay,
                                              .clip_norm = input.options.clip_norm});
  TrainPlan plan(input.train, input.options, expected.config());
  DataParallel parallel(nullptr, expected, 0);
  std::int64_t updates = 0;
  for (std::int64_t step = 1; step <= plan.steps(); ++step) {
    const auto outcome =
        run_batch(expected, parallel, input.train, plan.rows(step, 0), input.options, step, {});
    if (!std::isfinite(outcome->loss)) continue;
    const double lr = lines_of(root_)[static_cast<std::size_t>(step)]["lr"];
    optimizer.update(expected.parameters(), ++updates, lr, outcome->gradient_norm);
  }
  EXPECT_EQ(updates, plan.steps() - 3);
  for (std::size_t i = 1; i < expected.parameters().size(); ++i) {
    EXPECT_TRUE(std::ranges::equal(expected.parameters()[i].value, decoder.parameters()[i].value))
        << expected.parameters()[i].name;
  }
}

TEST_F(SpikesTest, RollbackGoesBackToTheRegularCheckpointAndMeetsTheBatchNoMore) {
  model::Decoder decoder = poisoned_decoder();
  TrainInput input = poisoned_input(decoder, root_, "rollback");
  input.options.checkpoint_every = 3;
  input.options.keep = 1;
  const TrainResult result = train(input);
  EXPECT_EQ(result.skipped_steps, 0);
  EXPECT_GE(result.rollbacks, 2);
  std::int64_t expected_step = 0;
  std::int64_t back = 0;
  for (const Json& line : lines_of(root_)) {
    EXPECT_EQ(line["step"], expected_step++);  // what was taken back is not in the metrics
    if (!line.contains("spikes")) continue;
    for (const Json& spike : line["spikes"]) {
      ++back;
      const std::int64_t to = spike["to"];
      EXPECT_EQ(to % 3, 0);
      EXPECT_LT(to, spike["step"].get<std::int64_t>());
      EXPECT_EQ(line["step"], to + 1);
    }
  }
  EXPECT_EQ(back, result.rollbacks);
  // The first one: from step 6 back to 3, and on with the rows that step 7 would have had.
  TrainPlan plan(input.train, input.options, micro::config());
  EXPECT_EQ(plan.rows(4, plan.offset_behind(6, 0, 4)), plan.rows(7, 0));
  const Json next = lines_of(root_)[4];
  EXPECT_EQ(next["spikes"][0]["step"], 6);
  EXPECT_EQ(next["spikes"][0]["to"], 3);
  EXPECT_EQ(next["batch"], batch_digest(input.train, plan.rows(7, 0)));
  EXPECT_EQ(expected_step, result.steps + 1);
}

TEST_F(SpikesTest, PoliciesHoldTheirBitsWhereverTheRunIsStopped) {
  for (const char* policy : {"skip", "rollback"}) {
    const auto run = [&](const fs::path& dir, std::int64_t calls) {
      model::Decoder decoder = poisoned_decoder();
      TrainInput input = poisoned_input(decoder, dir, policy);
      input.options.checkpoint_every = 4;
      input.options.keep = 1;
      input.options.max_steps = 12;
      std::int64_t asked = 0;
      input.should_stop = [&] { return ++asked == calls; };
      try {
        train(input);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::kTryAgain) << error.what();
      }
      return asked;
    };
    const std::int64_t calls = run(root_ / "through", -1);
    ASSERT_GT(calls, 20);
    ASSERT_THAT(io::read_file(root_ / "through" / "metrics.jsonl"), HasSubstr("spikes"));
    const std::string bytes = micro::checkpoint_bytes(root_ / "through", 12);
    const auto metrics = micro::metrics(root_ / "through");
    for (std::int64_t call = 1; call <= calls; ++call) {
      const fs::path dir = root_ / "stopped";
      fs::remove_all(dir);
      run(dir, call);
      run(dir, 3);  // and soon again
      run(dir, -1);
      ASSERT_TRUE(micro::checkpoint_bytes(dir, 12) == bytes) << policy << " " << call;
      ASSERT_EQ(micro::metrics(dir), metrics) << policy << " " << call;
    }
    fs::remove_all(root_ / "through");
  }
}

TEST_F(SpikesTest, TooManyEndTheRun) {
  for (const char* policy : {"skip", "rollback"}) {
    model::Decoder decoder = poisoned_decoder();
    TrainInput input = poisoned_input(decoder, root_ / policy, policy);
    input.options.max_spikes = 1;
    try {
      train(input);
      ADD_FAILURE() << policy;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("more than train.max_spikes = 1"));
    }
  }
}

TEST_F(SpikesTest, ALossFarAboveTheUsualIsOneWhenAskedFor) {
  const auto run = [&](double sigma) {
    model::Decoder decoder = micro::decoder();
    TrainInput input = micro::input(decoder, root_ / std::to_string(sigma));
    input.options.epochs = 12;
    input.options.batch_tokens = input.options.seq_len;  // a row a step
    input.options.on_spike = "skip";
    input.options.spike_sigma = sigma;
    // A row of tokens that nothing leads to, among those that count.
    Example odd{.tokens = {}, .loss_mask = {}, .id = "odd"};
    Rng rng(3);
    for (int i = 0; i < 33; ++i) {
      odd.tokens.push_back(static_cast<std::int32_t>(rng.below(32)));
      odd.loss_mask.push_back(1);
    }
    input.train.push_back(odd);
    return train(input).skipped_steps;
  };
  EXPECT_EQ(run(0.0), 0);
  EXPECT_GT(run(3.0), 0);
}

TEST(Spikes, AreFoundByTheWindow) {
  const std::vector<Example> examples = {
      {.tokens = {1, 2}, .loss_mask = {1, 1}, .id = "a", .source = "s"}};
  const Row row{{{0, 0, 1}}, 1};
  const Row* const rows[] = {&row};
  std::vector<double> recent;
  const auto spike_of = [&](double loss, double norm, double sigma) {
    const StepOutcome outcome{.loss = loss, .gradient_norm = norm, .targets = 1, .tokens = 1};
    return find_spike(outcome, 7, rows, examples, recent, sigma);
  };
  EXPECT_FALSE(spike_of(100.0, 1.0, 3.0));  // nothing to compare with yet
  EXPECT_TRUE(spike_of(kNan, kNan, 0.0));
  EXPECT_EQ(spike_of(1.0, std::numeric_limits<double>::infinity(), 0.0)->what, "gradient norm");
  for (int i = 0; i < 200; ++i) remember_loss(recent, i % 2 == 0 ? 1.5 : 2.5);
  EXPECT_EQ(recent.size(), kLossWindow);
  // Mean 2, deviation 0.5: three deviations are 3.5.
  EXPECT_FALSE(spike_of(3.49, 1.0, 3.0));
  const auto spike = spike_of(3.51, 1.0, 3.0);
  ASSERT_TRUE(spike);
  EXPECT_NEAR(spike->limit, 3.5, 1e-12);
  EXPECT_EQ(describe(*spike),
            "step 7: the loss is 3.5100, beyond the usual 3.5000; examples: a (sources: s)");
  EXPECT_FALSE(spike_of(3.51, 1.0, 0.0));
  recent.assign(kLossWindow, 2.0);  // no deviation at all: one percent of the mean counts as one
  EXPECT_FALSE(spike_of(2.05, 1.0, 3.0));
  EXPECT_TRUE(spike_of(2.07, 1.0, 3.0));
}

TEST(Spikes, OnlyTheFirstIdsAreListed) {
  Spike spike{
      .step = 3, .what = "loss", .value = kNan, .limit = std::numeric_limits<double>::infinity()};
  for (int i = 0; i < 40; ++i) spike.examples.push_back("id-" + std::to_string(i));
  EXPECT_THAT(describe(spike), AllOf(HasSubstr("id-7 and 32 more"), Not(HasSubstr("id-8"))));
  const Json json = to_json(spike);
  EXPECT_EQ(json["examples"].size(), 32u);
  EXPECT_EQ(json["more_examples"], 8);
  EXPECT_FALSE(json.contains("limit"));
}

TEST(Spikes, AnUnknownPolicyIsRefused) {
  EXPECT_THROW(static_cast<void>(spike_policy("ignore")), Error);
}

}  // namespace
}  // namespace nativo::train
