// Batch scripts, against files that people have read; bash must take whatever stands in them.
#include "launch/batch_script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "base/error.h"
#include "io/file.h"
#include "io/temp_folder.h"
#include "launch/process.h"
#include "launch/shell.h"

namespace nativo::launch {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

BatchJob job() {
  return {.program = "/opt/nativo/bin/nativo",
          .run = "/lustre/runs/italian",
          .config = "/lustre/runs/italian/launch/nativo.toml"};
}

SlurmOptions big() {
  SlurmOptions options;
  options.partition = "gpu";
  options.account = "nlp-42";
  options.constraint = "h100&ib";
  options.time = "1-12:00:00";
  options.memory = "0";
  options.nodes = 2;
  options.spare_nodes = 1;
  options.ranks_per_node = 4;
  options.gpus_per_node = 4;
  options.cpus_per_rank = 16;
  options.sbatch = {"--reservation=training"};
  options.setup = {"module load openmpi"};
  options.prefix = {"apptainer", "exec", "--nv", "/images/nativo.sif"};
  return options;
}

/// Compares with tests/launch/golden/`name`; NATIVO_WRITE_GOLDEN=1 writes it anew.
void expect_golden(const std::string& text, const std::string& name) {
  const fs::path file = fs::path(NATIVO_SOURCE_DIR) / "tests/launch/golden" / name;
  if (std::getenv("NATIVO_WRITE_GOLDEN") != nullptr) io::write_file_atomically(file, text);
  EXPECT_EQ(text, io::read_file(file)) << name;
}

void expect_clean(const std::string& script) {
  const io::TempFolder folder;
  const fs::path file = folder.path() / "job.sh";
  io::write_file_atomically(file, script);
  const Output syntax = run_command({"bash", "-n", file.native()}, 10.0);
  EXPECT_TRUE(syntax.ok()) << syntax.err << script;
  const Output lint = run_command({"shellcheck", "--severity=warning", file.native()}, 30.0);
  EXPECT_TRUE(lint.status == 127 || lint.ok()) << lint.out;
}

TEST(BatchScript, OfOneNodeSaysLittle) {
  const std::string script = batch_script(job(), SlurmOptions());
  expect_golden(script, "one_node.sh");
  expect_clean(script);
}

TEST(BatchScript, OfManyNodesSaysWhatTheOptionsSay) {
  const std::string script = batch_script(job(), big());
  expect_golden(script, "many_nodes.sh");
  expect_clean(script);
}

TEST(BatchScript, OfAStageIsWhatComesBeforeAnArrayAndWhatJoins) {
  using Kind = StageJob::Kind;
  for (const auto& [stage, golden] :
       {std::pair{StageJob{Kind::kBefore, "translate", "dedup_sources"}, "translate_before.sh"},
        {StageJob{Kind::kPart, "translate", "", 8}, "translate_array.sh"},
        {StageJob{Kind::kJoin, "translate", ""}, "translate_join.sh"}}) {
    const std::string script = stage_script(job(), big(), stage);
    expect_golden(script, golden);
    expect_clean(script);
  }
}

// The script's own variables come out as the paths were, whatever is in them.
TEST(BatchScript, PathsSurviveTheShell) {
  BatchJob hostile = job();
  hostile.run = "/tmp/it's \"a\" $(touch /tmp/pwned) `run` \\ ; & * %j";
  hostile.config = hostile.run / "launch" / "nativo.toml";
  hostile.program = "/opt/my programs/nativo";
  std::string script = batch_script(hostile, SlurmOptions());
  expect_clean(script);
  script = script.substr(0, script.find("mkdir -p")) +
           "printf '%s\\n' \"$nativo\" \"$run\" \"$config\"\n";
  const Output output = run_command({"bash", "-c", script}, 10.0);
  EXPECT_EQ(output.out, hostile.program.native() + "\n" + hostile.run.native() + "\n" +
                            hostile.config.native() + "\n");
  EXPECT_THAT(script, HasSubstr("#SBATCH --job-name=nativo-pwned___run_"));
}

TEST(BatchScript, RefusesWhatItsDirectivesCannotHold) {
  for (const std::string value : {"two words", "line\nbreak", "quo\"te", "it's", "tab\t", "b\\s"}) {
    SlurmOptions options;
    options.partition = value;
    try {
      (void)batch_script(job(), options);
      ADD_FAILURE() << value;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfig);
      EXPECT_THAT(error.what(), HasSubstr("slurm.partition"));
    }
  }
  SlurmOptions options;
  options.sbatch = {"--comment=a\nrm -rf /"};
  EXPECT_THROW((void)batch_script(job(), options), Error);
  options.sbatch = {"reservation"};
  EXPECT_THROW((void)batch_script(job(), options), Error);
  BatchJob broken = job();
  broken.run = "/runs/a\n#SBATCH --uid=0";
  EXPECT_THROW((void)batch_script(broken, SlurmOptions()), Error);
  options = SlurmOptions();
  options.min_nodes = 3;
  EXPECT_THROW((void)batch_script(job(), options), Error);
}

TEST(ShellWord, ComesBackAsItWas) {
  for (const std::string word : {"", "plain", "two words", "it's", "a\nb", "$HOME", "--x=1,2", "~",
                                 "\\", "\"", "è", "#", "*", "a&b;c|d", "\t", "''", "-"}) {
    const Output output = run_command({"bash", "-c", "printf %s " + shell_word(word)}, 10.0);
    EXPECT_EQ(output.out, word);
  }
  EXPECT_EQ(shell_command({"a", "b c", ""}), "a 'b c' ''");
}

}  // namespace
}  // namespace nativo::launch
