// The model with the lowest held-out loss is the result: which it is, that its checkpoint stays,
// and that stops, rollbacks, adapters and ranks change nothing of it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <utility>

#include "base/error.h"
#include "model/hf_directory.h"
#include "train/checkpoint.h"
#include "train/micro.h"
#include "train/option_check.h"
#include "train/plan.h"
#include "train/ranks.h"

namespace nativo::train {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Few tokens, which is learned first and helps with what is held out, and their order, which is
// learned then and does not: there they come the other way round.
std::vector<Example> of_few_tokens(std::vector<Example> examples) {
  for (Example& example : examples) {
    for (std::int32_t& token : example.tokens) token = 3 + token % 8;
  }
  return examples;
}

std::vector<Example> backwards() {
  std::vector<Example> examples = of_few_tokens(micro::examples(9, 2));  // several batches
  for (Example& example : examples) std::ranges::reverse(example.tokens);
  return examples;
}

void overfit(TrainInput& input) {
  input.train = of_few_tokens(std::move(input.train));
  input.heldout = backwards();
  input.options.lr = 3e-2;
  input.options.max_steps = 14;
  input.options.eval_every = 2;
  input.options.checkpoint_every = 5;
  input.options.keep = 1;
}

std::vector<float> trained(const model::Decoder& decoder) {
  std::vector<float> values;
  for (const model::Parameter& parameter : decoder.trainable()) {
    values.insert(values.end(), parameter.value.begin(), parameter.value.end());
  }
  return values;
}

struct Outcome {
  std::optional<TrainResult> result;  // none: stopped
  std::vector<float> weights;
};

class BestTest : public micro::TrainTest {
 protected:
  template <class Change>
  Outcome run(const std::string& name, const Change& change,
              model::Decoder decoder = micro::decoder()) {
    TrainInput input = micro::input(decoder, root_ / name);
    overfit(input);
    change(input);
    Outcome outcome;
    try {
      outcome.result = train(input);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kTryAgain) << error.what();
    }
    outcome.weights = trained(decoder);
    return outcome;
  }
  Outcome run(const std::string& name) {
    return run(name, [](TrainInput& /*input*/) {});
  }

  fs::path folder(const std::string& name, std::int64_t step) const {
    return root_ / name / "checkpoints" / fmt::format("step-{:08}", step);
  }
  std::vector<std::int64_t> checkpoints(const std::string& name) const {
    return list_checkpoints(root_ / name / "checkpoints");
  }

  // (step, loss) of every evaluation after a step.
  std::vector<std::pair<std::int64_t, double>> losses(const std::string& name) const {
    std::vector<std::pair<std::int64_t, double>> all;
    for (const std::string& text : micro::metrics(root_ / name)) {
      const Json line = parse_json(text, "metrics");
      if (line["step"] != 0 && line.contains("eval_loss")) {
        all.emplace_back(line["step"].get<std::int64_t>(), line["eval_loss"].get<double>());
      }
    }
    return all;
  }

  // What the metrics say must have been chosen.
  void expect_the_lowest(const std::string& name, const TrainResult& result) const {
    const auto all = losses(name);
    const auto lowest = std::ranges::min_element(all, {}, &std::pair<std::int64_t, double>::second);
    ASSERT_TRUE(result.best);
    EXPECT_EQ(result.best->step, lowest->first);
    EXPECT_EQ(result.best->loss, lowest->second);
    EXPECT_EQ(result.best->number, lowest - all.begin() + 1);
    EXPECT_EQ(result.evaluations, static_cast<std::int64_t>(all.size()));
  }
};

TEST_F(BestTest, TheModelWithTheLowestLossIsTheResult) {
  ::testing::internal::CaptureStderr();
  model::Decoder decoder = micro::decoder();
  TrainInput input = micro::input(decoder, root_ / "best");
  overfit(input);
  const TrainResult result = train(input);
  const std::string said = ::testing::internal::GetCapturedStderr();
  expect_the_lowest("best", result);
  const std::int64_t best = result.best->step;
  ASSERT_GT(best, 2);
  ASSERT_LT(best, 10) << "neither the first nor one of the newest";
  EXPECT_LT(result.best->loss, *result.eval_loss);
  EXPECT_THAT(said, HasSubstr(fmt::format("the best of 7 evaluations: step {}, {:.4f}", best,
                                          result.best->loss)));
  EXPECT_EQ(heldout_loss(decoder, input.heldout, 32, 2).mean, result.best->loss);
  EXPECT_TRUE(trained(decoder) == trained(model::load_decoder(folder("best", best))));
  EXPECT_THAT(checkpoints("best"), ElementsAre(best, 14)) << "keep = 1";
  EXPECT_THAT(io::read_file(root_ / "best" / "events.jsonl"),
              HasSubstr(fmt::format(R"("event":"best","step":{},)", best)));

  const Outcome last = run("last", [](TrainInput& other) { other.options.keep_best = false; });
  EXPECT_FALSE(last.result->best);
  EXPECT_THAT(checkpoints("last"), ElementsAre(14));
  EXPECT_FALSE(last.weights == trained(decoder));
  EXPECT_TRUE(last.weights == trained(model::load_decoder(folder("best", 14))));
  EXPECT_EQ(losses("last"), losses("best"));
}

TEST_F(BestTest, OfEqualOnesTheFirst) {
  ::testing::internal::CaptureStderr();
  const Outcome outcome = run("equal", [](TrainInput& input) { input.options.lr = 0.0; });
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("no step's held-out loss is below"));
  EXPECT_EQ(outcome.result->best->step, 2);
  EXPECT_EQ(outcome.result->evaluations, 7);
  EXPECT_THAT(checkpoints("equal"), ElementsAre(2, 14));
}

TEST_F(BestTest, WithoutAChoiceTheLastIsTheResult) {
  for (const bool has_heldout : {false, true}) {
    const std::string name = has_heldout ? "once" : "never";
    const Outcome outcome = run(name, [&](TrainInput& input) {
      input.options.eval_every = 0;
      if (!has_heldout) input.heldout.clear();
    });
    EXPECT_THAT(checkpoints(name), ElementsAre(14));
    EXPECT_TRUE(outcome.weights == trained(model::load_decoder(folder(name, 14))));
    EXPECT_EQ(outcome.result->best.has_value(), has_heldout);
  }
}

// Between micro-batches, between steps and in the middle of evaluations.
TEST_F(BestTest, StoppedAtAnyQuestionItIsTheSame) {
  std::int64_t left = 0;  // questions until the stop; below 0 = none
  const auto ask = [&](TrainInput& input) { input.should_stop = [&] { return --left == 0; }; };
  const Outcome through = run("through", ask);
  const std::int64_t questions = -left;
  ASSERT_GT(questions, 14 * 2 + 7 * 3);
  for (std::int64_t question = 1; question <= questions; ++question) {
    SCOPED_TRACE(question);
    left = question;
    ASSERT_FALSE(run("stopped", ask).result);
    left = 0;
    const Outcome outcome = run("stopped", ask);
    ASSERT_TRUE(outcome.result);
    EXPECT_TRUE(outcome.result->best == through.result->best);
    EXPECT_EQ(outcome.result->evaluations, through.result->evaluations);
    EXPECT_TRUE(outcome.weights == through.weights);
    EXPECT_EQ(micro::metrics(root_ / "stopped"), micro::metrics(root_ / "through"));
    EXPECT_EQ(checkpoints("stopped"), checkpoints("through"));
    fs::remove_all(root_ / "stopped");
  }
}

// Killed anywhere, a run goes on from what is on the disk: from whichever checkpoint that is, its
// best one is there.
TEST_F(BestTest, FromEveryCheckpointThatIsLeftItIsTheSame) {
  const Outcome through = run("through");
  for (std::int64_t question = 2; question < 14 * 2; ++question) {
    SCOPED_TRACE(question);
    fs::remove_all(root_ / "run");
    fs::remove_all(root_ / "seen");
    static_cast<void>(run("run", [&, left = question](TrainInput& input) {
      input.options.background_checkpoints = false;
      input.should_stop = [&, left]() mutable {
        if (--left > 0) return false;
        fs::copy(root_ / "run", root_ / "seen", fs::copy_options::recursive);
        return true;
      };
    }));
    if (list_checkpoints(root_ / "seen" / "checkpoints").empty()) continue;
    // The newest is damaged, too, where there is another.
    const auto steps = list_checkpoints(root_ / "seen" / "checkpoints");
    if (steps.size() > 1) {
      fs::remove(root_ / "seen" / "checkpoints" / fmt::format("step-{:08}", steps.back()) /
                 "optimizer.safetensors");
    }
    const Outcome outcome = run("seen");
    ASSERT_TRUE(outcome.result);
    EXPECT_TRUE(outcome.result->best == through.result->best);
    EXPECT_TRUE(outcome.weights == through.weights);
  }
}

TEST_F(BestTest, AFinishedRunLoadsItOrSaysThatItIsGone) {
  const Outcome first = run("run");
  EXPECT_TRUE(run("run").weights == first.weights);
  fs::remove_all(folder("run", first.result->best->step));
  model::Decoder decoder = micro::decoder();
  TrainInput input = micro::input(decoder, root_ / "run");
  overfit(input);
  try {
    train(input);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    EXPECT_THAT(error.what(), HasSubstr("the best of 7 evaluations, is gone"));
    EXPECT_THAT(error.hint(), HasSubstr("train.keep_best = false"));
  }
  const Outcome last = run("run", [](TrainInput& other) { other.options.keep_best = false; });
  EXPECT_TRUE(last.weights == trained(model::load_decoder(folder("run", 14))));
}

TEST_F(BestTest, WhatAnyKeptStateNamesIsKept) {
  model::Decoder decoder = micro::decoder();
  Optimizer optimizer(std::as_const(decoder).trainable(), {});
  CheckpointStore store(root_, "key-1", 2, io::quick_disk());
  TrainState state;
  const auto save = [&](std::int64_t step, std::int64_t best) {
    state.step = step;
    state.evaluations = best;
    state.best = Evaluation{.step = best, .number = 1, .loss = 1.0};
    store.save(state, decoder, optimizer, {});
  };
  for (const std::int64_t step : {2, 4, 6, 8}) save(step, 2);
  EXPECT_THAT(store.steps(), ElementsAre(2, 6, 8));
  save(10, 10);
  EXPECT_THAT(store.steps(), ElementsAre(2, 8, 10)) << "8 may be what a run goes on from";
  save(12, 10);
  EXPECT_THAT(store.steps(), ElementsAre(10, 12));
  store.protect(10);
  for (const std::int64_t step : {14, 16, 18}) save(step, 14);
  EXPECT_THAT(store.steps(), ElementsAre(10, 14, 16, 18));
}

TEST_F(BestTest, ARollbackForgetsWhatCameAfterIt) {
  constexpr std::int32_t kPoison = 1;  // no example of micro::examples() has it
  const auto poisoned = [&] {
    model::Decoder decoder = micro::decoder();
    const auto width = static_cast<std::size_t>(micro::config().hidden_size);
    decoder.parameters()[0].value[kPoison * width] = std::numeric_limits<float>::quiet_NaN();
    return decoder;
  };
  std::int64_t left = 0;
  const auto change = [&](TrainInput& input) {
    input.options.on_spike = "rollback";
    input.options.checkpoint_every = 4;
    input.options.eval_every = 1;
    TrainPlan plan(input.train, input.options, micro::config());
    Example& example = input.train[plan.rows(7, 0).back()->pieces[0].example];
    example.tokens[1] = kPoison;
    input.should_stop = [&] { return --left == 0; };
  };
  const Outcome through = run("through", change, poisoned());
  EXPECT_GE(through.result->rollbacks, 1);
  expect_the_lowest("through", *through.result);
  EXPECT_THAT(checkpoints("through"), Contains(through.result->best->step));
  const std::int64_t questions = -left;
  for (std::int64_t question = 3; question < questions; question += 5) {
    SCOPED_TRACE(question);
    left = question;
    ASSERT_FALSE(run("stopped", change, poisoned()).result);
    left = 0;
    const Outcome outcome = run("stopped", change, poisoned());
    EXPECT_TRUE(outcome.result->best == through.result->best);
    EXPECT_EQ(outcome.result->evaluations, through.result->evaluations);
    // One number is not equal to itself.
    EXPECT_TRUE(std::ranges::equal(std::as_bytes(std::span(outcome.weights)),
                                   std::as_bytes(std::span(through.weights))))
        << question;
    fs::remove_all(root_ / "stopped");
  }
}

TEST_F(BestTest, OfAdaptersToo) {
  const auto adapted = [&] {
    model::Decoder decoder = micro::decoder();
    model::LoraOptions options;
    options.rank = 4;
    options.dropout = 0.1;
    decoder.attach_lora(model::resolve_lora(options, decoder.config()), 1);
    return decoder;
  };
  model::Decoder decoder = adapted();
  TrainInput input = micro::input(decoder, root_ / "lora");
  overfit(input);
  const TrainResult result = train(input);
  expect_the_lowest("lora", result);
  ASSERT_LT(result.best->step, 14);
  EXPECT_EQ(heldout_loss(decoder, input.heldout, 32, 2).mean, result.best->loss);
  const Outcome again = run(
      "lora", [](TrainInput& /*input*/) {}, adapted());
  EXPECT_TRUE(again.weights == trained(decoder));
}

TEST_F(BestTest, PatienceEndsTheRunAndMoreOfItGoesOn) {
  const Outcome through = run("through");
  const std::int64_t best = through.result->best->step;
  const auto patient = [](std::int64_t patience) {
    return [patience](TrainInput& input) { input.options.patience = patience; };
  };
  const Outcome ended = run("run", patient(2));
  EXPECT_EQ(ended.result->steps, best + 4);
  EXPECT_TRUE(ended.weights == through.weights);
  EXPECT_THAT(checkpoints("run"), ElementsAre(best, best + 4));
  EXPECT_EQ(run("run", patient(2)).result->steps, best + 4) << "it stays at its end";
  const Outcome further = run("run", patient(0));
  EXPECT_EQ(further.result->steps, 14);
  EXPECT_TRUE(further.weights == through.weights);
  EXPECT_EQ(micro::metrics(root_ / "run"), micro::metrics(root_ / "through"));

  TrainOptions options;
  options.patience = 1;
  check_together(options);
  options.eval_every = 0;
  EXPECT_THROW(check_together(options), Error);
  options.eval_every = 1;
  options.keep_best = false;
  EXPECT_THROW(check_together(options), Error);
}

TEST(BestState, IsReadAsItWasWrittenOrRefused) {
  TrainState state;
  state.step = 8;
  state.evaluations = 4;
  state.best = Evaluation{.step = 4, .number = 2, .loss = 1.0 / 3.0, .base_loss = 2.0};
  const Json json = to_json(state);
  const TrainState read = train_state_from_json(json, "test");
  EXPECT_TRUE(read.best == state.best);
  EXPECT_EQ(read.evaluations, 4);
  EXPECT_FALSE(to_json(TrainState{}).contains("best"));
  EXPECT_FALSE(to_json(TrainState{}).contains("evaluations"));
  const auto refused = [&](const char* key, const Json& value) {
    Json changed = json;
    changed["best"][key] = value;
    EXPECT_THROW(static_cast<void>(train_state_from_json(changed, "test")), Error) << key << value;
  };
  for (const std::int64_t step : {-1, 0, 9}) refused("step", step);
  for (const std::int64_t number : {-1, 0, 5}) refused("number", number);
  refused("loss", "low");
  refused("loss", nullptr);
}

class BestRanksTest : public micro::RanksTest {
 protected:
  void after_training(dist::Grid& grid, model::Decoder& decoder) override {
    const auto loss = heldout_loss(decoder, backwards(), 32, 2, &grid.data()).mean;
    const std::lock_guard lock(mutex_);
    measured_ = loss;
  }

  std::mutex mutex_;
  std::optional<double> measured_;
};

TEST_F(BestRanksTest, EveryStageHasItOnAllAndAnotherGridLoadsIt) {
  config_ = micro::config();
  const micro::Change change = [](TrainInput& input) {
    overfit(input);
    input.options.batch_tokens = 4 * input.options.seq_len;
  };
  for (std::int64_t zero = 0; zero <= 3; ++zero) {
    for (const bool lora : {false, true}) {
      SCOPED_TRACE(fmt::format("zero {} lora {}", zero, lora));
      const std::string name = fmt::format("zero-{}-{}", zero, lora);
      dist_.zero = zero;
      const micro::Outcome two = run(name, {0, 1}, change, lora);
      ASSERT_FALSE(two.stopped);
      ASSERT_TRUE(two.result.best);
      EXPECT_LT(two.result.best->step, 14);
      EXPECT_EQ(measured_, two.result.best->loss);
      EXPECT_THAT(list_checkpoints(root_ / name / "checkpoints"),
                  ElementsAre(two.result.best->step, 14));
      const micro::Outcome one = run(name, {0}, change, lora);
      EXPECT_EQ(one.result.resumed_from, 14);
      EXPECT_TRUE(one.weights == two.weights);
    }
  }
}

}  // namespace
}  // namespace nativo::train
