// Fifty steps of several micro-batches over more than two epochs, stopped wherever a run can be
// stopped: weights, moments, losses and the batches of every step are those of a run never stopped.
#include <gtest/gtest.h>

#include "base/error.h"
#include "train/micro.h"
#include "train/plan.h"

namespace nativo::train {
namespace {

namespace fs = std::filesystem;
using EnduranceTest = micro::TrainTest;

constexpr std::int64_t kSteps = 50;

// So many examples that steps of three rows do not divide an epoch.
std::vector<Example> uneven_examples(const TrainOptions& options) {
  for (std::size_t count = 60;; ++count) {
    std::vector<Example> examples = micro::examples(count, 1);
    const TrainPlan plan(examples, options, micro::config());
    if (plan.packing().rows.size() % 3 != 0) return examples;
  }
}

TrainInput input(model::Decoder& decoder, const fs::path& dir) {
  TrainInput input = micro::input(decoder, dir);
  input.train = uneven_examples(input.options);
  for (std::size_t i = 0; i < input.train.size(); ++i) {
    input.train[i].source = i % 3 == 0 ? "a" : "b";
  }
  input.heldout = micro::examples(1, 2);  // a batch each: resume_test.cc stops between batches
  input.base_heldout = micro::examples(1, 3);
  input.options.micro_batch = 1;
  input.options.max_steps = kSteps;
  input.options.eval_every = 20;
  input.options.checkpoint_every = 0;
  return input;
}

// True when the run came to its end before stopping was asked `calls` times.
bool run(const fs::path& dir, std::int64_t calls) {
  model::Decoder decoder = micro::decoder();
  TrainInput the_input = input(decoder, dir);
  the_input.should_stop = [&] { return --calls == 0; };
  try {
    train(the_input);
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kTryAgain) << error.what();
    return false;
  }
}

TEST_F(EnduranceTest, StoppedInEveryStepAndBehindItEqualsNeverStopped) {
  ASSERT_TRUE(run(root_ / "through", -1));
  const auto metrics = micro::metrics(root_ / "through");
  ASSERT_EQ(metrics.size(), static_cast<std::size_t>(kSteps) + 1);

  model::Decoder decoder = micro::decoder();
  const TrainInput planned = input(decoder, root_);
  TrainPlan plan(planned.train, planned.options, decoder.config());
  ASSERT_GE(plan.epoch(kSteps, 0), 2);
  for (std::int64_t step = 1; step <= kSteps; ++step) {
    const Json line = parse_json(metrics[static_cast<std::size_t>(step)], "metrics");
    EXPECT_EQ(line["batch"], batch_digest(planned.train, plan.rows(step, 0))) << step;
  }

  // Three micro-batches a step: stopping is asked after the first, after the second, behind the
  // step. Each start is stopped in the middle of the step that it begins with or behind it.
  int starts = 0;
  bool ended = false;
  for (std::int64_t calls = 1; !ended; calls = calls % 3 + 1) {
    ended = run(root_ / "stopped", calls);
    ASSERT_LT(++starts, 4 * kSteps);
  }
  EXPECT_GE(starts, 3 * (kSteps - 1));
  EXPECT_EQ(micro::metrics(root_ / "stopped"), metrics);
  EXPECT_TRUE(micro::checkpoint_bytes(root_ / "stopped", kSteps) ==
              micro::checkpoint_bytes(root_ / "through", kSteps));
}

}  // namespace
}  // namespace nativo::train
