// Stopped and resumed is bit-identical to never stopped; damaged, foreign and half-written
// checkpoints are never used.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>

#include "base/error.h"
#include "io/faulty_disk.h"
#include "model/hf_directory.h"
#include "train/checkpoint.h"
#include "train/micro.h"
#include "train/trainer.h"

namespace nativo::train {
namespace {

namespace fs = std::filesystem;
using micro::TrainTest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using CheckpointTest = micro::TrainTest;
using ResumeTest = micro::TrainTest;

struct Reference {
  TrainResult result;
  std::string bytes;
  std::vector<std::string> metrics;
};

Reference run_through(const fs::path& dir) {
  model::Decoder decoder = micro::decoder();
  Reference reference;
  reference.result = train(micro::input(decoder, dir));
  reference.bytes = micro::checkpoint_bytes(dir, reference.result.steps);
  reference.metrics = micro::metrics(dir);
  return reference;
}

// Trains until it was asked `calls` times whether to stop; true when the end came before.
bool run_until_call(const fs::path& dir, std::int64_t calls) {
  model::Decoder decoder = micro::decoder();
  TrainInput input = micro::input(decoder, dir);
  input.should_stop = [&] { return --calls <= 0; };
  try {
    train(input);
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kTryAgain) << error.what();
    return false;
  }
}

// Trains until `steps` more steps are done: each has two micro-batches, and stopping is asked
// between them and behind them.
bool run_for(const fs::path& dir, std::int64_t steps) { return run_until_call(dir, 2 * steps); }

TEST_F(ResumeTest, StoppedAtEachStepEqualsNeverStopped) {
  const Reference reference = run_through(root_ / "through");
  const std::int64_t steps = reference.result.steps;
  ASSERT_GT(steps, 12);
  // Steps do not divide epochs, so most stops are mid-epoch and some steps straddle an edge.
  ASSERT_NE(reference.result.rows % 3, 0) << "choose another number of examples";
  for (std::int64_t stop = 1; stop < steps; ++stop) {
    const fs::path dir = root_ / ("stopped-" + std::to_string(stop));
    ASSERT_FALSE(run_for(dir, stop));
    model::Decoder decoder = micro::decoder();
    const TrainResult result = train(micro::input(decoder, dir));
    EXPECT_EQ(result.resumed_from, stop);
    ASSERT_TRUE(micro::checkpoint_bytes(dir, steps) == reference.bytes) << stop;
    ASSERT_EQ(micro::metrics(dir), reference.metrics) << stop;
    EXPECT_EQ(result.loss, reference.result.loss);
    EXPECT_EQ(result.first_loss, reference.result.first_loss);
    EXPECT_EQ(result.first_eval_loss, reference.result.first_eval_loss);
    EXPECT_EQ(result.eval_loss, reference.result.eval_loss);
    EXPECT_EQ(result.tokens, reference.result.tokens);
    fs::remove_all(dir);
  }
}

// Between micro-batches, between steps, and between batches of held-out examples: before training,
// after a step, after the last one.
TEST_F(ResumeTest, StoppedAtAnyQuestionEqualsNeverStopped) {
  std::int64_t left = 0;  // questions until the stop; below 0 = none
  const auto run = [&](const fs::path& dir) {
    model::Decoder decoder = micro::decoder();
    TrainInput input = micro::input(decoder, dir);
    input.heldout = micro::examples(9, 2);
    input.base_heldout = micro::examples(5, 3);
    input.options.max_steps = 6;
    input.should_stop = [&] { return --left == 0; };
    try {
      return std::optional(train(input));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kTryAgain) << error.what();
      return std::optional<TrainResult>();
    }
  };
  const fs::path through = root_ / "through";
  const auto reference = run(through);
  ASSERT_TRUE(reference);
  const std::int64_t questions = -left;
  ASSERT_GT(questions, 6 * 2 + 6) << "some are asked while held-out losses are measured";
  for (std::int64_t question = 1; question <= questions; ++question) {
    SCOPED_TRACE(question);
    const fs::path dir = root_ / ("stopped-" + std::to_string(question));
    left = question;
    ASSERT_FALSE(run(dir));
    left = 0;
    const auto result = run(dir);
    ASSERT_TRUE(result);
    EXPECT_TRUE(micro::checkpoint_bytes(dir, 6) == micro::checkpoint_bytes(through, 6));
    EXPECT_EQ(micro::metrics(dir), micro::metrics(through));
    EXPECT_EQ(result->eval_loss, reference->eval_loss);
    EXPECT_EQ(result->first_base_eval_loss, reference->first_base_eval_loss);
    EXPECT_EQ(
        io::read_file(dir / "checkpoints" / "step-00000006" / "state.json").find("evaluation_due"),
        std::string::npos);
    fs::remove_all(dir);
  }
}

// Metrics are for people: without them an evaluation that a stop cut short is finished all the
// same.
TEST_F(ResumeTest, StoppedInAnEvaluationGoesOnWithoutItsMetrics) {
  std::int64_t left = 0;
  const auto run = [&](const fs::path& dir) {
    model::Decoder decoder = micro::decoder();
    TrainInput input = micro::input(decoder, dir);
    input.heldout = micro::examples(9, 2);
    input.options.max_steps = 6;
    input.should_stop = [&] { return --left == 0; };
    return train(input);
  };
  const TrainResult through = run(root_ / "through");
  const fs::path dir = root_ / "stopped";
  const auto is_due = [&] {
    const auto steps = list_checkpoints(dir / "checkpoints");
    if (steps.empty()) return false;
    const fs::path folder = dir / "checkpoints" / fmt::format("step-{:08}", steps.back());
    return io::read_file(folder / "state.json").find("evaluation_due") != std::string::npos;
  };
  for (const bool removed : {false, true}) {
    for (std::int64_t question = 1; !is_due(); ++question) {
      ASSERT_LT(question, 100);
      fs::remove_all(dir);
      left = question;
      EXPECT_THROW(run(dir), Error);
    }
    std::ofstream(dir / "metrics.jsonl", std::ios::trunc).close();
    if (removed) fs::remove(dir / "metrics.jsonl");
    left = 0;
    EXPECT_EQ(run(dir).eval_loss, through.eval_loss);
    fs::remove_all(dir);
  }
}

TEST_F(ResumeTest, StoppedAfterEveryStepEqualsNeverStopped) {
  const Reference reference = run_through(root_ / "through");
  int starts = 1;
  while (!run_for(root_ / "stopped", 1)) ++starts;
  EXPECT_EQ(starts, reference.result.steps);
  EXPECT_TRUE(micro::checkpoint_bytes(root_ / "stopped", reference.result.steps) ==
              reference.bytes);
  EXPECT_EQ(micro::metrics(root_ / "stopped"), reference.metrics);
}

TEST_F(ResumeTest, AnyNumberOfThreadsGivesTheSameBits) {
  const Reference reference = run_through(root_ / "one");
  set_thread_count(3);
  const Reference threads = run_through(root_ / "three");
  set_thread_count(1);
  EXPECT_TRUE(threads.bytes == reference.bytes);
  EXPECT_EQ(threads.metrics, reference.metrics);
}

TEST_F(ResumeTest, AFinishedRunOnlyLoads) {
  const Reference reference = run_through(root_);
  model::Decoder decoder(micro::config());
  const TrainResult result = train(micro::input(decoder, root_));
  EXPECT_EQ(result.resumed_from, reference.result.steps);
  EXPECT_EQ(result.loss, reference.result.loss);
  EXPECT_EQ(result.eval_loss, reference.result.eval_loss);
  EXPECT_EQ(micro::metrics(root_), reference.metrics);
  EXPECT_NE(decoder.parameters()[0].value[5], 0.0f);
}

TEST_F(ResumeTest, StepsAfterTheCheckpointAreTakenOutOfTheMetrics) {
  const Reference reference = run_through(root_ / "through");
  ASSERT_FALSE(run_for(root_ / "a", 7));
  // As if killed at step 7 before its checkpoint: what is left is step 5's and a torn line.
  fs::remove_all(root_ / "a" / "checkpoints" / "step-00000007");
  std::ofstream(root_ / "a" / "metrics.jsonl", std::ios::app) << R"({"step": 8, "lo)";
  model::Decoder decoder = micro::decoder();
  EXPECT_EQ(train(micro::input(decoder, root_ / "a")).resumed_from, 5);
  EXPECT_EQ(micro::metrics(root_ / "a"), reference.metrics);
}

TEST_F(ResumeTest, AnotherKeyStartsAnewAndPutsTheOldAside) {
  ASSERT_FALSE(run_for(root_, 7));
  model::Decoder decoder = micro::decoder();
  TrainInput input = micro::input(decoder, root_);
  input.key = "key-2";
  ::testing::internal::CaptureStderr();
  const TrainResult result = train(input);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("starts anew, because"));
  EXPECT_EQ(result.resumed_from, 0);
  EXPECT_EQ(micro::metrics(root_), run_through(root_ / "fresh").metrics);
  EXPECT_TRUE(fs::exists(root_ / "previous" / "step-00000007" / "manifest.json"));
  EXPECT_TRUE(fs::exists(root_ / "previous" / "metrics.jsonl"));
}

TEST_F(ResumeTest, AStopInTheMiddleOfAStepForgetsIt) {
  const Reference reference = run_through(root_ / "through");
  ASSERT_FALSE(run_until_call(root_ / "a", 2 * 6 + 1));  // between the micro-batches of step 7
  EXPECT_THAT(list_checkpoints(root_ / "a" / "checkpoints"), ElementsAre(4, 5, 6));
  model::Decoder decoder = micro::decoder();
  EXPECT_EQ(train(micro::input(decoder, root_ / "a")).resumed_from, 6);
  EXPECT_TRUE(micro::checkpoint_bytes(root_ / "a", reference.result.steps) == reference.bytes);
  EXPECT_EQ(micro::metrics(root_ / "a"), reference.metrics);
}

TEST_F(ResumeTest, AStopBeforeTheFirstStepSavesNothing) {
  ASSERT_FALSE(run_until_call(root_ / "a", 1));
  EXPECT_TRUE(list_checkpoints(root_ / "a" / "checkpoints").empty());
  model::Decoder decoder = micro::decoder();
  EXPECT_EQ(train(micro::input(decoder, root_ / "a")).resumed_from, 0);
  EXPECT_EQ(micro::metrics(root_ / "a"), run_through(root_ / "through").metrics);
}

TEST_F(ResumeTest, EventsTellWhatHappened) {
  ASSERT_FALSE(run_until_call(root_, 2 * 6 + 1));
  std::ofstream(root_ / "events.jsonl", std::ios::app) << R"({"time": 1, "ev)";
  model::Decoder decoder = micro::decoder();
  const TrainResult result = train(micro::input(decoder, root_));
  std::vector<std::string> events;
  double time = 0.0;
  const std::string text = io::read_file(root_ / "events.jsonl");
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    const Json line = parse_json(text.substr(at, text.find('\n', at) - at), "events.jsonl");
    EXPECT_GE(line["time"].get<double>(), time);
    time = line["time"];
    events.push_back(line["event"].get<std::string>() + " " + dump_json(line["step"]));
  }
  ASSERT_EQ(result.steps, 28);
  EXPECT_THAT(events,
              ElementsAre("start 0", "checkpoint 4", "checkpoint 5", "checkpoint 6", "stop 6",
                          "resume 6", "checkpoint 8", "checkpoint 10", "checkpoint 12",
                          "checkpoint 15", "checkpoint 16", "checkpoint 20", "checkpoint 24",
                          "checkpoint 25", "checkpoint 28", "best 28", "end 28"));
}

TEST_F(CheckpointTest, OnlyTheNewestAreKept) {
  model::Decoder decoder = micro::decoder();
  TrainInput input = micro::input(decoder, root_);
  input.options.keep = 3;
  input.options.max_steps = 12;
  input.options.checkpoint_every = 2;
  train(input);
  EXPECT_THAT(list_checkpoints(root_ / "checkpoints"), ElementsAre(8, 10, 12));
}

TEST_F(CheckpointTest, ARunCanGoBackAndTakesTheSameWayAgain) {
  ASSERT_FALSE(run_for(root_, 5));
  model::Decoder decoder = micro::decoder();
  Optimizer optimizer(std::as_const(decoder).trainable(), {});
  CheckpointStore store(root_, "key-1", 2, io::quick_disk());
  TrainState state = *store.load(decoder, optimizer);
  ASSERT_EQ(state.best->step, 4) << "which is kept as long as 5";
  state.best.reset();
  const std::string at_five = micro::checkpoint_bytes(root_, 5);
  const auto save = [&](std::int64_t step) {
    decoder.parameters()[0].value[0] += 1.0F;
    optimizer.state()[0].bytes[3] ^= std::byte{1};
    state.step = step;
    store.save(state, decoder, optimizer, {});
  };
  store.protect(5);
  for (const std::int64_t step : {6, 7, 8, 9}) save(step);
  EXPECT_THAT(store.steps(), ElementsAre(4, 5, 8, 9));
  EXPECT_FALSE(store.load_at(decoder, optimizer, 7).has_value());
  EXPECT_EQ(store.load_at(decoder, optimizer, 5)->step, 5);
  store.evict();
  EXPECT_THAT(store.steps(), ElementsAre(4, 5, 8, 9)) << "until the new way has a checkpoint";
  save(6);
  EXPECT_THAT(store.steps(), ElementsAre(4, 5, 6));
  // Without the changes since, the bytes are those of step 5.
  ASSERT_TRUE(store.load_at(decoder, optimizer, 5).has_value());
  state.step = 7;
  store.save(state, decoder, optimizer, {});
  EXPECT_TRUE(micro::checkpoint_bytes(root_, 7) == at_five);
  store.protect({});
  save(8);
  EXPECT_THAT(store.steps(), ElementsAre(7, 8));

  std::ofstream(store.folder(8) / "optimizer.safetensors", std::ios::app) << "!";
  ::testing::internal::CaptureStderr();
  const float before = decoder.parameters()[0].value[0] = 17.0F;
  EXPECT_FALSE(store.load_at(decoder, optimizer, 8).has_value());
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("step-00000008 is damaged"));
  EXPECT_EQ(decoder.parameters()[0].value[0], before) << "nothing of it was read";
  CheckpointStore other(root_, "key-2", 2, io::quick_disk());
  EXPECT_FALSE(other.load_at(decoder, optimizer, 7).has_value()) << "of another run";
}

TEST_F(CheckpointTest, DamagedOnesDoNotPushOutTheOneInUse) {
  ASSERT_FALSE(run_for(root_, 5));
  for (const char* name : {"step-00000006", "step-00000007", "step-00000008"}) {
    fs::create_directories(root_ / "checkpoints" / name);
  }
  model::Decoder decoder = micro::decoder();
  Optimizer optimizer(std::as_const(decoder).trainable(), {});
  CheckpointStore store(root_, "key-1", 2, io::quick_disk());
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(store.load(decoder, optimizer)->step, 5);
  ::testing::internal::GetCapturedStderr();
  store.evict();
  EXPECT_THAT(store.steps(), ElementsAre(4, 5, 6, 7, 8));
}

TEST_F(CheckpointTest, EachIsAModelFolder) {
  model::Decoder decoder = micro::decoder();
  TrainInput input = micro::input(decoder, root_);
  input.extra_files = {{"tokenizer.model", "pieces"}};
  const TrainResult result = train(input);
  const fs::path folder = root_ / "checkpoints" / "step-00000005";
  ASSERT_GT(result.steps, 10);
  const fs::path last = root_ / "checkpoints" / ("step-000000" + std::to_string(result.steps));
  const model::Decoder loaded = model::load_decoder(last);
  EXPECT_TRUE(std::ranges::equal(loaded.parameters()[3].value, decoder.parameters()[3].value));
  EXPECT_EQ(io::read_file(last / "tokenizer.model"), "pieces");
  EXPECT_FALSE(fs::exists(folder));
}

TEST_F(CheckpointTest, ADamagedNewestIsSaidAndTheOneBeforeIsUsed) {
  const Reference reference = run_through(root_ / "through");
  ASSERT_FALSE(run_for(root_ / "whole", 11));
  ASSERT_THAT(list_checkpoints(root_ / "whole" / "checkpoints"), ElementsAre(8, 10, 11));
  const fs::path newest = root_ / "whole" / "checkpoints" / "step-00000011";
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(newest)) files.push_back(entry.path().filename());
  ASSERT_EQ(files.size(), 6u);

  enum class Damage { kFlip, kTruncate, kRemove };
  for (const fs::path& file : files) {
    for (const Damage damage : {Damage::kFlip, Damage::kTruncate, Damage::kRemove}) {
      const fs::path dir = root_ / "damaged";
      fs::remove_all(dir);
      fs::copy(root_ / "whole", dir, fs::copy_options::recursive);
      const fs::path path = dir / "checkpoints" / "step-00000011" / file;
      std::string bytes = io::read_file(path);
      if (damage == Damage::kFlip) {
        // In the manifest's digests, in the middle of data elsewhere.
        const std::size_t at =
            file == "manifest.json" ? bytes.find("sha256") + 12 : bytes.size() / 2;
        bytes[at] = static_cast<char>(bytes[at] ^ 1);
      } else if (damage == Damage::kTruncate) {
        bytes.resize(bytes.size() - 3);
      }
      fs::remove(path);
      if (damage != Damage::kRemove) std::ofstream(path, std::ios::binary) << bytes;

      model::Decoder decoder = micro::decoder();
      ::testing::internal::CaptureStderr();
      const TrainResult result = train(micro::input(decoder, dir));
      const std::string said = ::testing::internal::GetCapturedStderr();
      EXPECT_THAT(said, HasSubstr("step-00000011 is damaged")) << file;
      EXPECT_EQ(result.resumed_from, 10) << file;
      ASSERT_TRUE(micro::checkpoint_bytes(dir, result.steps) == reference.bytes) << file;
    }
  }
}

TEST_F(CheckpointTest, EveryFlippedByteOfTheManifestIsHarmlessOrNoticed) {
  ASSERT_FALSE(run_for(root_, 3));
  const fs::path manifest = root_ / "checkpoints" / "step-00000003" / "manifest.json";
  const std::string whole = io::read_file(manifest);
  model::Decoder decoder = micro::decoder();
  Optimizer optimizer(decoder.parameters(), {});
  CheckpointStore store(root_, "key-1", 2, io::quick_disk());
  ::testing::internal::CaptureStderr();
  for (std::size_t at = 0; at < whole.size(); at += 7) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 16);
    std::ofstream(manifest, std::ios::binary) << bytes;
    const auto state =
        store.load(decoder, optimizer);  // whole files, or refused: never an exception
    EXPECT_TRUE(!state || state->step == 3);
  }
  ::testing::internal::GetCapturedStderr();
}

TEST_F(CheckpointTest, WhenAllAreDamagedTrainingStartsFromTheBeginning) {
  const Reference reference = run_through(root_ / "through");
  ASSERT_FALSE(run_for(root_ / "a", 3));
  fs::remove(root_ / "a" / "checkpoints" / "step-00000003" / "state.json");
  model::Decoder decoder = micro::decoder();
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(train(micro::input(decoder, root_ / "a")).resumed_from, 0);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("no checkpoint is whole"));
  EXPECT_EQ(micro::metrics(root_ / "a"), reference.metrics);
}

TEST_F(CheckpointTest, LeftoversAreCollectedAtTheStart) {
  fs::create_directories(root_ / "checkpoints" / "step-00000009.partial");
  std::ofstream(root_ / "checkpoints" / "step-00000009.partial" / "model.safetensors") << "half";
  std::ofstream(root_ / "metrics.jsonl.tmp-77") << "half";
  run_for(root_, 1);
  EXPECT_FALSE(fs::exists(root_ / "checkpoints" / "step-00000009.partial"));
  EXPECT_FALSE(fs::exists(root_ / "metrics.jsonl.tmp-77"));
}

TEST_F(CheckpointTest, ADiskThatFailsAtAnyCallLosesNothing) {
  const Reference reference = run_through(root_ / "through");
  ASSERT_FALSE(run_for(root_ / "start", 9));  // has the checkpoints 5 and 9
  const auto run = [&](const fs::path& dir, io::FaultyDisk& disk) {
    model::Decoder decoder = micro::decoder();
    train(micro::input(decoder, dir, disk));
  };
  fs::copy(root_ / "start", root_ / "count", fs::copy_options::recursive);
  io::FaultyDisk counting;
  run(root_ / "count", counting);
  ASSERT_GT(counting.calls(), 100);

  int failures = 0;
  for (std::int64_t call = 1; call <= counting.calls(); call += 3) {
    const fs::path dir = root_ / "full";
    fs::remove_all(dir);
    fs::copy(root_ / "start", dir, fs::copy_options::recursive);
    io::FaultyDisk disk({.call = call, .for_good = call % 2 == 0, .torn = true});
    try {
      run(dir, disk);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kTryAgain) << error.what();
      ++failures;
    }
    model::Decoder decoder = micro::decoder();
    const TrainResult result = train(micro::input(decoder, dir));
    ASSERT_GE(result.resumed_from, 9) << call;
    ASSERT_TRUE(micro::checkpoint_bytes(dir, result.steps) == reference.bytes) << call;
    ASSERT_EQ(micro::metrics(dir), reference.metrics) << call;
    for (const auto& entry : fs::recursive_directory_iterator(dir)) {
      const std::string name = entry.path().filename().string();
      EXPECT_TRUE(name.find(".partial") == std::string::npos &&
                  name.find(".tmp-") == std::string::npos)
          << entry.path();
    }
  }
  EXPECT_GT(failures, 30);
}

}  // namespace
}  // namespace nativo::train
