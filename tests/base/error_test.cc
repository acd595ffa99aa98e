// Errors, results, checks, JSON, log and progress: the words of failing and reporting.
#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/result.h"

namespace nativo {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

TEST(Error, ErrnoDecidesTheExitCode) {
  EXPECT_EQ(errno_error(ENOENT, "open", "a/b").code(), ExitCode::kMissingInput);
  EXPECT_EQ(errno_error(EACCES, "open", "a/b").code(), ExitCode::kMissingInput);
  EXPECT_EQ(errno_error(ENOSPC, "write", "a/b").code(), ExitCode::kTryAgain);
  EXPECT_EQ(errno_error(EDQUOT, "write", "a/b").code(), ExitCode::kTryAgain);
  EXPECT_EQ(errno_error(EFBIG, "write", "a/b").code(), ExitCode::kTryAgain);
  EXPECT_EQ(errno_error(EIO, "write", "a/b").code(), ExitCode::kIo);
  const Error error = errno_error(ENOSPC, "write", "a/b");
  EXPECT_STREQ(error.what(), "a/b: cannot write: No space left on device");
  EXPECT_THAT(error.hint(), HasSubstr("space"));
}

TEST(Result, HoldsAValueOrAReason) {
  Result<int> good = 3;
  EXPECT_TRUE(good.ok());
  EXPECT_EQ(good.value(), 3);
  const Result<int> bad = Rejection{"too_short", "4"};
  EXPECT_FALSE(bad);
  EXPECT_EQ(bad.rejection().rule, "too_short");
  EXPECT_DEATH((void)good.rejection(), "check failed");
}

TEST(Check, NamesPlaceAndCondition) {
  EXPECT_DEATH(NATIVO_CHECK(1 + 1 == 3, "sums"),
               "nativo: bug: .*error_test.cc:[0-9]+: check failed: 1 \\+ 1 == 3: sums");
  NATIVO_CHECK(true, "fine");
}

TEST(Json, WhatIsWrittenIsAlwaysValidAndKeepsItsOrder) {
  Json value = Json::object();
  value["z"] = 1;
  value["a"] = "bad \xFF byte";
  EXPECT_EQ(dump_json(value), "{\"z\":1,\"a\":\"bad \xEF\xBF\xBD byte\"}");
  EXPECT_EQ(dump_json_pretty(Json{{"a", 1}}), "{\n  \"a\": 1\n}\n");
  EXPECT_EQ(parse_json(dump_json(value), "here")["z"], 1);
  try {
    (void)parse_json("{\"a\": ", "rows.jsonl:7");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kData);
    EXPECT_THAT(e.what(), HasSubstr("rows.jsonl:7: not valid JSON"));
  }
}

TEST(Log, LinesAndProgressGoToStderr) {
  testing::internal::CaptureStderr();
  log::info("read {} rows", 3);
  log::warn("slow");
  log::error("broken");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "read 3 rows\nwarning: slow\nerror: broken\n");
}

TEST(Progress, WithoutATerminalItIsSilentForTenSeconds) {
  if (log::stderr_is_terminal()) GTEST_SKIP() << "stderr is a terminal";
  testing::internal::CaptureStderr();
  {
    Progress progress("train", 10, "steps");
    progress.already(5);
    for (int i = 0; i < 5; ++i) progress.advance();
    progress.note("loss 2.31");
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Parallel, EveryItemOnceOnAnyNumberOfThreads) {
  const int threads_before = thread_count();
  for (const int threads : {1, 2, 7}) {
    set_thread_count(threads);
    EXPECT_EQ(thread_count(), threads);
    std::vector<int> visits(1000, 0);
    parallel_for(visits.size(), [&](std::size_t i) { ++visits[i]; });
    EXPECT_EQ(visits, std::vector<int>(1000, 1));
  }
  set_thread_count(threads_before);
}

TEST(Parallel, TheFirstFailureIsRethrown) {
  std::atomic<int> others = 0;
  EXPECT_THROW(parallel_for(100,
                            [&](std::size_t i) {
                              if (i == 50) throw std::runtime_error("item 50");
                              ++others;
                            }),
               std::runtime_error);
  EXPECT_EQ(others, 99);
}

TEST(Clock, GoesForward) {
  const double start = monotonic_seconds();
  EXPECT_GE(monotonic_seconds(), start);
  EXPECT_GT(cpu_seconds(), 0.0);
  EXPECT_THAT(utc_now(),
              MatchesRegex("20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z"));
}

TEST(Interrupt, TheFirstSignalAsksTheSecondKills) {
  EXPECT_EXIT(
      {
        install_signal_handlers();
        if (interrupted()) std::exit(1);
        std::raise(SIGTERM);
        if (!interrupted()) std::exit(2);
        try {
          stop_if_interrupted();
        } catch (const Error& e) {
          std::exit(static_cast<int>(e.code()));
        }
        std::exit(3);
      },
      testing::ExitedWithCode(75), "");
  EXPECT_EXIT(
      {
        install_signal_handlers();
        std::raise(SIGINT);
        std::raise(SIGINT);
        std::exit(0);
      },
      testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace nativo
