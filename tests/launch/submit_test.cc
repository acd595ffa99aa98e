// What is submitted, by a script that plays sbatch.
#include "launch/submit.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "io/file.h"
#include "io/temp_folder.h"

namespace nativo::launch {
namespace {

namespace fs = std::filesystem;

/// A folder before all others in PATH, while it lives.
class FirstInPath {
 public:
  explicit FirstInPath(const fs::path& folder) : before_(std::getenv("PATH")) {
    ::setenv("PATH", (folder.native() + ":" + before_).c_str(), 1);
  }
  ~FirstInPath() { ::setenv("PATH", before_.c_str(), 1); }
  FirstInPath(const FirstInPath&) = delete;
  FirstInPath& operator=(const FirstInPath&) = delete;

 private:
  std::string before_;
};

// An array whose steps before it have failed is cancelled: it has "ended", but there is nothing to
// be joined, and the job that joins would make the whole stage alone.
TEST(SubmitStage, NothingIsJoinedWhenWhatComesBeforeFails) {
  const io::TempFolder folder;
  const fs::path sbatch = folder.path() / "sbatch";
  io::write_file_atomically(sbatch, "#!/bin/sh\necho \"$@\" >>" + (folder.path() / "log").native() +
                                        "\nwc -l <" + (folder.path() / "log").native() + "\n");
  fs::permissions(sbatch, fs::perms::owner_all);
  const FirstInPath path(folder.path());
  const BatchJob job{.program = "/usr/bin/nativo",
                     .run = folder.path() / "run",
                     .config = folder.path() / "run" / "launch" / "nativo.toml"};
  const StageJobs jobs = submit_stage(job, {}, "", "translate", "dedup_sources", 4);
  EXPECT_EQ(jobs.before + jobs.array + jobs.join, "123");
  const std::string scripts = (folder.path() / "run" / "launch" / "translate").native();
  EXPECT_EQ(io::read_file(folder.path() / "log"),
            "--parsable " + scripts + "-before.sh\n" +
                "--parsable --dependency=afterok:1 --kill-on-invalid-dep=yes " + scripts +
                "-array.sh\n" +
                "--parsable --dependency=afterok:1,afterany:2 --kill-on-invalid-dep=yes " +
                scripts + "-join.sh\n");
}

}  // namespace
}  // namespace nativo::launch
