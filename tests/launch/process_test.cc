// Other programs, well-behaved and not.
#include "launch/process.h"

#include <gtest/gtest.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): signal numbers are POSIX
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "io/file.h"
#include "io/temp_folder.h"

namespace nativo::launch {
namespace {

TEST(RunCommand, GivesBothStreamsAndTheStatus) {
  const Output output = run_command({"sh", "-c", "echo out; echo err >&2; exit 7"}, 10.0);
  EXPECT_EQ(output.out, "out\n");
  EXPECT_EQ(output.err, "err\n");
  EXPECT_EQ(output.status, 7);
  EXPECT_FALSE(output.timed_out);
  EXPECT_EQ(run_command({"sh", "-c", "kill -9 $$"}, 10.0).status, 137);
  EXPECT_EQ(run_command({"/no/such/program"}, 10.0).status, 127);
  EXPECT_EQ(run_command({"sh", "-c", "head -c 300000 /dev/zero"}, 10.0).out.size(), 300000U);
}

TEST(RunCommand, EndsWhatTakesTooLongWithItsChildren) {
  const double begun = monotonic_seconds();
  const auto outputs =
      run_commands({{"sh", "-c", "echo begun; sleep 60 & wait"}, {"sh", "-c", "echo quick"}}, 0.5);
  EXPECT_LT(monotonic_seconds() - begun, 10.0);
  EXPECT_TRUE(outputs[0].timed_out);
  EXPECT_EQ(outputs[0].out, "begun\n");
  EXPECT_TRUE(outputs[1].ok());
  EXPECT_EQ(outputs[1].out, "quick\n");
}

TEST(RunCommand, DoesNotWaitForAGrandchildThatKeepsTheStreams) {
  const double begun = monotonic_seconds();
  const Output output = run_command({"sh", "-c", "sleep 30 & echo done"}, 20.0);
  EXPECT_LT(monotonic_seconds() - begun, 15.0);
  EXPECT_EQ(output.out, "done\n");
}

TEST(Child, RunsWithItsVariablesIntoItsLog) {
  const io::TempFolder folder;
  Child child({"sh", "-c", "echo $NATIVO_TEST; echo more >&2; exit 3"}, {{"NATIVO_TEST", "a b"}},
              folder.path() / "log");
  while (!child.poll()) ::usleep(1000);
  EXPECT_EQ(child.poll(), 3);
  EXPECT_EQ(io::read_file(folder.path() / "log"), "a b\nmore\n");
}

TEST(Child, IsKilledEvenWhenItIsStopped) {
  const io::TempFolder folder;
  Child child({"sh", "-c", "trap '' TERM; kill -STOP $$"}, {}, folder.path() / "log");
  ::usleep(100000);
  child.signal(SIGTERM);
  EXPECT_FALSE(child.poll());
  EXPECT_EQ(child.kill_and_wait(), 137);
  EXPECT_THROW(Child({"/no/such/program"}, {}, folder.path() / "log"), Error);
}

}  // namespace
}  // namespace nativo::launch
