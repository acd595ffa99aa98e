// The line on the terminal, and what stands in it: shares of the machine's rate.
#include "train/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"
#include "train/flops.h"
#include "train/micro.h"

namespace nativo::train {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Status full_status() {
  return {.label = "train",
          .step = 1234,
          .steps = 20000,
          .loss = 2.34567,
          .sources = {{"qa", {2.0, 1}}, {"code", {9.0, 3}}, {"", {1.0, 9}}},
          .lr = 9.8e-6,
          .gradient_norm = 1.2345,
          .tokens_per_second = 1009.4,
          .percent_of_gemm = 62.3,
          .memory = 1.9e9,
          .seconds_left = 800.0};
}

TEST(StatusLine, HoldsEverythingWhereThereIsRoom) {
  EXPECT_EQ(status_line(full_status(), 160),
            "train 1234/20000 6%  loss 2.3457  code 3.00 qa 2.00  lr 9.8e-06  grad 1.23  1009 tok/s"
            "  62% of GEMM  1.8 GiB  ETA 13m 20s");
}

TEST(StatusLine, FitsTheTerminalAndDropsTheLeastFirst) {
  for (std::size_t width = 40; width < 160; ++width) {
    EXPECT_LE(count_code_points(status_line(full_status(), width)), width);
  }
  const std::string line = status_line(full_status(), 80);
  for (const char* text : {"1234/20000", "loss 2.3457", "1009 tok/s", "ETA 13m 20s", "grad 1.23"}) {
    EXPECT_THAT(line, HasSubstr(text));
  }
  EXPECT_THAT(line, Not(HasSubstr("qa")));
  EXPECT_EQ(status_line(full_status(), 1), "train 1234/20000 6%  loss 2.3457");
}

TEST(StatusLine, SaysNothingOfWhatIsNotKnown) {
  const Status status{.label = "train", .step = 1, .steps = 2, .loss = 1.0};
  EXPECT_EQ(status_line(status, 100), "train 1/2 50%  loss 1.0000  lr 0.0e+00  grad 0  0 tok/s");
}

TEST(StepFlops, CountsWhatTheGemmsAndTheAttentionDo) {
  // micro: C 16, F 32, L 2, H 2, K 1, D 8, V 32, window 16.
  const double matrices = 2.0 * (16 * 32 + 16 * 16 + 3 * 16 * 32);
  const Row row{{{0, 0, 20}, {1, 0, 5}}, 25};
  const Row* const rows[] = {&row};
  // Keys of 20 positions with a window of 16: 1 + ... + 16 + 4 * 16; of 5: 15. In both layers.
  const double keys = 2.0 * (136 + 64 + 15);
  model::Decoder decoder = micro::decoder();
  EXPECT_DOUBLE_EQ(step_flops(decoder, rows, 7),
                   6 * matrices * 25 + 6.0 * 32 * 16 * 7 + 12.0 * 16 * keys);
  decoder.attach_lora(model::resolve_lora({.rank = 2, .targets = {"q_proj"}}, decoder.config()), 1);
  const double adapters = 2.0 * (2 * 16 + 16 * 2);
  EXPECT_DOUBLE_EQ(step_flops(decoder, rows, 7),
                   4 * matrices * 25 + 6.0 * adapters * 25 + 4.0 * 32 * 16 * 7 + 12.0 * 16 * keys);
}

TEST(MeasureGemmRate, GivesARate) { EXPECT_GT(measure_gemm_rate(), 1e8); }

}  // namespace
}  // namespace nativo::train
