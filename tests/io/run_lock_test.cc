// The lock of a run folder, held and lost by other processes.
#include "io/run_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <memory>
#include <string>

#include "base/error.h"
#include "io/temp_folder.h"

namespace nativo::io {
namespace {

using testing::HasSubstr;

std::string host_name() {
  std::array<char, 256> name{};
  EXPECT_EQ(::gethostname(name.data(), name.size() - 1), 0);
  return name.data();
}

/// A child process that takes the lock, says so, and waits to be killed.
class Holder {
 public:
  explicit Holder(const std::filesystem::path& folder) {
    std::array<int, 2> ready{};
    EXPECT_EQ(::pipe(ready.data()), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      char answer = 'n';
      std::unique_ptr<RunLock> lock;
      try {
        lock = std::make_unique<RunLock>(folder);
        answer = 'y';
      } catch (const Error& e) {
        answer = e.code() == ExitCode::kLocked ? 'l' : 'e';
      }
      if (::write(ready[1], &answer, 1) != 1) ::_exit(1);
      for (;;) ::pause();
    }
    EXPECT_EQ(::read(ready[0], &answer_, 1), 1);
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Holder() { kill(); }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] char answer() const { return answer_; }

 private:
  pid_t pid_ = 0;
  char answer_ = '?';
};

std::string refusal(const std::filesystem::path& folder) {
  try {
    const RunLock lock(folder);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kLocked);
    EXPECT_FALSE(e.hint().empty());
    return e.what();
  }
  return {};
}

TEST(RunLock, TheSecondComerIsToldWhoHoldsItAndADeadHolderBlocksNobody) {
  const TempFolder folder;
  Holder holder(folder.path());
  ASSERT_EQ(holder.answer(), 'y');
  const std::string message = refusal(folder.path());
  EXPECT_THAT(message, HasSubstr(folder.path().native()));
  EXPECT_THAT(message, HasSubstr("host " + host_name()));
  EXPECT_THAT(message, HasSubstr("pid " + std::to_string(holder.pid())));
  holder.kill();
  EXPECT_EQ(refusal(folder.path()), "");
}

TEST(RunLock, AChildMeetsTheLockOfItsParent) {
  const TempFolder folder;
  const RunLock lock(folder.path());
  EXPECT_EQ(Holder(folder.path()).answer(), 'l');
}

TEST(RunLock, IsFreeAfterItsLife) {
  const TempFolder folder;
  {
    RunLock lock(folder / "new/run");  // creates the folder
    EXPECT_THAT(refusal(folder / "new/run"), HasSubstr("pid " + std::to_string(::getpid())));
    const RunLock moved = std::move(lock);
    EXPECT_NE(refusal(folder / "new/run"), "");
  }
  EXPECT_EQ(refusal(folder / "new/run"), "");
}

TEST(RunLock, WhatTheFileSaysIsShownSafely) {
  const TempFolder folder;
  const RunLock lock(folder.path());
  folder.put("run.lock", "host \x1b[31mred\npid 4242\n");
  const std::string message = refusal(folder.path());
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_THAT(message, HasSubstr("red, pid 4242"));
  folder.put("run.lock", "");
  EXPECT_THAT(refusal(folder.path()), HasSubstr("another process"));
}

}  // namespace
}  // namespace nativo::io
