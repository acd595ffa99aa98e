// Checkpoints that are copied and written while training goes on: the bytes of one that training
// waited for, one at a time, and a failure that does not go unheard.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <thread>

#include "base/error.h"
#include "io/faulty_disk.h"
#include "train/checkpoint.h"
#include "train/micro.h"
#include "train/slow_disk.h"
#include "train/trainer.h"

namespace nativo::train {
namespace {

namespace fs = std::filesystem;
using micro::TrainTest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using BackgroundCheckpointTest = micro::TrainTest;

/// A disk whose folders come into being only once it is opened: a write that takes as long as the
/// test wants.
class GatedDisk final : public micro::ForwardingDisk {
 public:
  /// The disk is full for files that have `refused` in their path.
  explicit GatedDisk(std::string refused = {}) : refused_(std::move(refused)) {}

  void close_gate() { set(false); }
  void open_gate() { set(true); }
  /// False when nobody has come to the gate within five seconds.
  bool somebody_waits() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(5), [&] { return waiting_ > 0; });
  }

  std::unique_ptr<io::WritableFile> create(const fs::path& path) override {
    if (!refused_.empty() && path.native().find(refused_) != std::string::npos) {
      throw errno_error(ENOSPC, "create", path.native());
    }
    return ForwardingDisk::create(path);
  }
  void make_folders(const fs::path& path) override {
    {
      std::unique_lock lock(mutex_);
      ++waiting_;
      changed_.notify_all();
      changed_.wait(lock, [&] { return open_; });
      --waiting_;
    }
    ForwardingDisk::make_folders(path);
  }

 private:
  void set(bool open) {
    const std::lock_guard lock(mutex_);
    open_ = open;
    changed_.notify_all();
  }

  std::string refused_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int waiting_ = 0;
};

/// A model, its optimizer and a state, to save.
struct Subject {
  explicit Subject(StateType type = StateType::kF32)
      : decoder(micro::decoder()), optimizer(std::as_const(decoder).trainable(), {.state = type}) {
    decoder.enable_gradients();
    for (model::Parameter& parameter : decoder.trainable()) {
      for (std::size_t i = 0; i < parameter.gradient.size(); ++i) {
        parameter.gradient[i] = static_cast<float>(i % 7) - 3.0F;
      }
    }
    update();
  }
  /// What follows asks `store` before it changes anything, as a training does.
  void observe(CheckpointStore& store) {
    optimizer.observe([&](std::span<const std::byte> bytes) { store.before_change(bytes); });
  }
  /// Changes every weight and moment.
  void update() { optimizer.update(decoder.trainable(), ++state.step, 1e-2, 1.0); }

  model::Decoder decoder;
  Optimizer optimizer;
  TrainState state;
};

TEST_F(BackgroundCheckpointTest, WritesTheBytesOfTheMomentItWasAskedFor) {
  for (const StateType type : {StateType::kF32, StateType::kBf16, StateType::kInt8}) {
    const fs::path dir = root_ / std::to_string(static_cast<int>(type));
    GatedDisk disk;
    Subject subject(type);
    CheckpointStore foreground(dir / "foreground", "key-1", 2, disk);
    CheckpointStore background(dir / "background", "key-1", 2, disk);
    subject.observe(background);
    for (int i = 0; i < 3; ++i) {  // the later ones reuse the first's memory
      const TrainState saved = subject.state;
      foreground.save(saved, subject.decoder, subject.optimizer, {{"tokenizer.model", "pieces"}});
      disk.close_gate();
      background.save_in_background(saved, subject.decoder, subject.optimizer,
                                    {{"tokenizer.model", "pieces"}});
      ASSERT_TRUE(disk.somebody_waits());
      EXPECT_FALSE(fs::exists(background.folder(saved.step)));
      if (i < 2) subject.update();  // what was not copied has to be, by the update
      disk.open_gate();
      if (i == 2) subject.update();  // while it is being copied
      background.wait();
      int files = 0;
      for (const auto& entry : fs::directory_iterator(foreground.folder(saved.step))) {
        const fs::path other = background.folder(saved.step) / entry.path().filename();
        EXPECT_TRUE(io::read_file(entry.path()) == io::read_file(other)) << other;
        ++files;
      }
      EXPECT_EQ(files, 7);
    }
  }
}

TEST_F(BackgroundCheckpointTest, CountsAsWrittenOnceItIsThere) {
  GatedDisk disk;
  Subject subject;
  CheckpointStore store(root_, "key-1", 2, disk);
  disk.close_gate();
  store.save_in_background(subject.state, subject.decoder, subject.optimizer, {});
  ASSERT_TRUE(disk.somebody_waits());
  EXPECT_THAT(store.take_written(), ElementsAre());
  disk.open_gate();
  store.wait();
  EXPECT_THAT(store.take_written(), ElementsAre(subject.state.step));
  EXPECT_THAT(store.take_written(), ElementsAre());
}

TEST_F(BackgroundCheckpointTest, TheSecondSaveWaitsForTheFirst) {
  GatedDisk disk;
  Subject subject;
  CheckpointStore store(root_, "key-1", 2, disk);
  subject.observe(store);
  disk.close_gate();
  store.save_in_background(subject.state, subject.decoder, subject.optimizer, {});
  ASSERT_TRUE(disk.somebody_waits());
  subject.update();
  std::atomic<bool> first_was_there = false;
  std::thread second([&] {
    store.save_in_background(subject.state, subject.decoder, subject.optimizer, {});
    first_was_there = fs::exists(store.folder(1) / "manifest.json");
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(fs::exists(store.folder(1)));
  disk.open_gate();
  second.join();
  EXPECT_TRUE(first_was_there);
  EXPECT_THAT(store.steps(), ElementsAre(1, 2)) << "waits for the second";
}

TEST_F(BackgroundCheckpointTest, WhatReadsOrEndsWaitsForTheWrite) {
  GatedDisk disk;
  Subject subject;
  const auto save_slowly = [&](CheckpointStore& store) {
    disk.close_gate();
    store.save_in_background(subject.state, subject.decoder, subject.optimizer, {});
    return std::thread([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      disk.open_gate();
    });
  };
  std::thread opener;
  {
    CheckpointStore store(root_, "key-1", 2, disk);
    opener = save_slowly(store);
    store.protect(1);  // these two do not wait, or hang if the opener's time were endless
    store.check();
    EXPECT_EQ(store.load_at(subject.decoder, subject.optimizer, 1)->step, 1);
    opener.join();
    subject.update();
    opener = save_slowly(store);
  }
  EXPECT_THAT(list_checkpoints(root_ / "checkpoints"), ElementsAre(1, 2))
      << "of a store that ended";
  opener.join();
}

TEST_F(BackgroundCheckpointTest, AFailureIsThrownAndLeavesTheLastGoodOne) {
  for (int call = 0; call < 60; ++call) {
    const fs::path dir = root_ / std::to_string(call);
    io::FaultyDisk disk;
    Subject subject;
    CheckpointStore store(dir, "key-1", 2, disk);
    store.save(subject.state, subject.decoder, subject.optimizer, {});
    subject.update();
    disk.set_fault({.call = disk.calls() + 1 + call, .for_good = true, .torn = true});
    store.save_in_background(subject.state, subject.decoder, subject.optimizer, {});
    try {
      if (call % 2 == 0) {
        store.wait();
      } else {
        std::this_thread::sleep_for(std::chrono::milliseconds(call % 5));
        store.check();
        store.save(subject.state, subject.decoder, subject.optimizer, {});
      }
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kTryAgain);
    }
    store.check();  // said once
    disk.set_fault({});
    EXPECT_GE(store.load(subject.decoder, subject.optimizer)->step, 1) << call;
  }
}

TEST_F(BackgroundCheckpointTest, TrainingGoesOnMeanwhile) {
  GatedDisk disk;
  model::Decoder decoder = micro::decoder();
  TrainInput input = micro::input(decoder, root_, disk);
  input.options.max_steps = 12;
  input.options.checkpoint_every = 10;
  input.options.keep_best = false;  // one checkpoint, of step 10
  bool was_unwritten = false;
  int asked = 0;
  input.should_stop = [&] {
    ++asked;
    if (asked == 18) disk.close_gate();  // twice a step: behind the ninth
    if (asked == 22) {                   // the step after the checkpoint's
      was_unwritten = disk.somebody_waits() && !fs::exists(root_ / "checkpoints/step-00000010");
      disk.open_gate();
    }
    return false;
  };
  train(input);
  EXPECT_TRUE(was_unwritten);
  EXPECT_THAT(list_checkpoints(root_ / "checkpoints"), ElementsAre(10, 12));
}

TEST_F(BackgroundCheckpointTest, ARunEndsAtTheFailureOfItsCheckpoint) {
  GatedDisk disk("step-00000020");
  model::Decoder decoder = micro::decoder();
  TrainInput input = micro::input(decoder, root_, disk);
  input.options.max_steps = 29;
  input.options.checkpoint_every = 10;
  input.options.keep_best = false;  // no save between these
  // Slow steps, so that the end is the step after the failure and not the next save.
  input.should_stop = [&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return false;
  };
  try {
    train(input);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kTryAgain);
    EXPECT_THAT(error.what(), HasSubstr("step-00000020.partial"));
  }
  EXPECT_LT(micro::metrics(root_).size(), 29U);
  EXPECT_THAT(list_checkpoints(root_ / "checkpoints"), ElementsAre(10));
  EXPECT_FALSE(fs::exists(root_ / "checkpoints" / "step-00000020.partial"));
  model::Decoder again = micro::decoder();
  TrainInput rest = micro::input(again, root_);
  rest.options = input.options;
  EXPECT_EQ(train(rest).resumed_from, 10);
}

TEST_F(BackgroundCheckpointTest, EndsWithTheSameCheckpointsAsInTheForeground) {
  std::string bytes[2];
  for (const bool background : {false, true}) {
    const fs::path dir = root_ / (background ? "background" : "foreground");
    model::Decoder decoder = micro::decoder();
    TrainInput input = micro::input(decoder, dir);
    input.options.background_checkpoints = background;
    input.options.checkpoint_every = 1;
    input.options.keep = 100;
    const TrainResult result = train(input);
    for (std::int64_t step = 1; step <= result.steps; ++step) {
      bytes[background ? 1 : 0] += micro::checkpoint_bytes(dir, step);
    }
  }
  EXPECT_TRUE(bytes[0] == bytes[1]);
}

}  // namespace
}  // namespace nativo::train
