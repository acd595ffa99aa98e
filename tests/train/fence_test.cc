// Who is overtaken by a newer start of a run commits nothing.
#include "train/fence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "io/file.h"
#include "io/temp_folder.h"
#include "train/checkpoint.h"
#include "train/micro.h"

namespace nativo::train {
namespace {

using testing::HasSubstr;

/// Makes this process a rank of start `restart` while it lives.
class StartedAs {
 public:
  explicit StartedAs(const char* restart) { ::setenv("NATIVO_RESTART", restart, 1); }
  ~StartedAs() { ::unsetenv("NATIVO_RESTART"); }
  StartedAs(const StartedAs&) = delete;
  StartedAs& operator=(const StartedAs&) = delete;
};

void raise_fence(const std::filesystem::path& folder, int restart) {
  std::filesystem::create_directories(folder);
  io::write_file_atomically(folder / "fence.json",
                            R"({"job":"17","restart":)" + std::to_string(restart) + "}");
}

TEST(Fence, LetsTheNewestStartPassAndNobodyElse) {
  const io::TempFolder folder;
  Fence(folder.path()).check();  // no fence
  raise_fence(folder.path(), 3);
  Fence(folder.path()).check();  // by hand: the newest start
  {
    const StartedAs rank("3");
    const Fence fence(folder.path());
    fence.check();
    raise_fence(folder.path(), 4);
    try {
      fence.check();
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kLocked);
      EXPECT_THAT(error.what(), HasSubstr("this is start 3 of the run, but start 4 (job 17)"));
    }
    EXPECT_THROW(Fence(folder.path()).check(), Error);
  }
  const StartedAs odd("3x");
  EXPECT_THROW(Fence{folder.path()}, Error);
  ::unsetenv("NATIVO_RESTART");
  io::write_file_atomically(folder.path() / "fence.json", R"({"restart":"4"})");
  EXPECT_THROW(Fence{folder.path()}, Error);
}

// A training that is overtaken in its middle: what it had saved stays, nothing is added.
TEST(Fence, AStaleTrainingCannotCommit) {
  const io::TempFolder folder;
  const StartedAs rank("1");
  raise_fence(folder.path(), 1);
  model::Decoder decoder = micro::decoder();
  TrainInput input = micro::input(decoder, folder.path());
  input.options.background_checkpoints = false;
  input.options.keep = 100;
  int asked = 0;
  input.should_stop = [&] {
    if (++asked == 40) raise_fence(folder.path(), 2);
    return false;
  };
  EXPECT_THROW((void)train(input), Error);
  const auto saved = list_checkpoints(folder.path() / "checkpoints");
  ASSERT_FALSE(saved.empty());
  EXPECT_LT(saved.back(), 40);
  for (const auto& entry : std::filesystem::directory_iterator(folder.path() / "checkpoints")) {
    EXPECT_EQ(entry.path().extension(), "") << entry.path();  // no leftovers either
  }
}

}  // namespace
}  // namespace nativo::train
