// The memory plan against what the system counts: a child trains a model of 30 M parameters, and
// its greatest resident size must be the plan's.
#include "train/memory.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "train/micro.h"
#include "train/trainer.h"
#include "train/training_memory.h"

namespace nativo::train {
namespace {

using MemoryTest = micro::TrainTest;

struct Case {
  const char* name;
  std::int64_t rows;  ///< a step; micro_batch is 2
  const char* method = "full";
  const char* state = "f32";
  const char* recompute = "norms";
  bool background = false;
};

TrainOptions options_of(const Case& of) {
  TrainOptions options;
  options.method = of.method;
  options.optimizer_state = of.state;
  options.recompute = of.recompute;
  options.background_checkpoints = of.background;
  options.seq_len = 256;
  options.micro_batch = 2;
  options.batch_tokens = 256 * of.rows;
  options.max_steps = 2;
  options.checkpoint_every = of.background ? 1 : 0;
  options.eval_every = 0;
  return options;
}

/// Trains; returns how far the process grew beyond what it had.
double growth(const Case& of, const std::filesystem::path& dir) {
  std::vector<Example> examples = memory::examples();
  const double before = memory::figure("/proc/self/status", "VmRSS:");
  const TrainOptions options = options_of(of);
  model::Decoder decoder(memory::config(), quantization_of(options.method, {}));
  if (options.method == std::string("full")) {
    decoder.initialize(1);
  } else {
    decoder.load([](const model::Parameter& parameter, std::span<float> values) {
      std::fill(values.begin(), values.end(), parameter.decays ? 0.01F : 1.0F);
    });
    decoder.attach_lora(model::resolve_lora({}, decoder.config()), 1);
  }
  const DistOptions alone;
  TrainInput input{.decoder = decoder,
                   .train = std::move(examples),
                   .options = options,
                   .dir = dir,
                   .key = "key",
                   .dist = alone};
  train(input);
  return memory::figure("/proc/self/status", "VmHWM:") - before;
}

TEST_F(MemoryTest, ThePlanIsWhatTheSystemCounts) {
  constexpr std::array kCases = {
      Case{.name = "one batch a step", .rows = 2},
      Case{.name = "accumulated", .rows = 4},
      Case{.name = "int8 state, blocks again", .rows = 2, .state = "int8", .recompute = "block"},
      Case{.name = "snapshot", .rows = 2, .background = true},
      Case{.name = "lora", .rows = 2, .method = "lora"},
      Case{.name = "qlora", .rows = 2, .method = "qlora-nf4"}};
  for (const Case& of : kCases) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      double grown = -1.0;
      try {
        if (::freopen("/dev/null", "w", stderr) != nullptr) grown = growth(of, root_ / of.name);
      } catch (...) {
      }
      ::_exit(::write(ends[1], &grown, sizeof grown) == sizeof grown ? 0 : 1);
    }
    ::close(ends[1]);
    double grown = 0.0;
    ASSERT_EQ(::read(ends[0], &grown, sizeof grown), static_cast<ssize_t>(sizeof grown));
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    const auto planned = static_cast<double>(
        training_memory(memory::config(), options_of(of), {}).peak() - kProgramBytes);
    std::printf("%-28s planned %7.1f MiB, measured %7.1f MiB: %+.2f %%\n", of.name,
                planned * 0x1p-20, grown * 0x1p-20, 100.0 * (grown / planned - 1.0));
    // Beside 2 %: what malloc keeps of freed blocks, which depends on as little as the program's
    // path.
    constexpr double kFreed = 0x1p20 * 8;
    EXPECT_NEAR(grown, planned, 0.02 * planned + kFreed) << of.name;
  }
}

}  // namespace
}  // namespace nativo::train
