// The pipeline file: what is read, and what a person is told when it is wrong.
#include "config/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/scratch.h"
#include "config/json_writer.h"

namespace nativo::config {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

struct TrainOptions {
  double lr = 1e-5;
  std::int64_t steps = 100;
  bool shuffle = true;
  std::string dtype = "bf16";
  std::vector<std::string> tags;
  void visit(Visitor& v) {
    v.value({.name = "lr", .help = "learning rate", .min = 0, .max = 1}, lr);
    v.value({.name = "steps", .help = "optimizer steps", .min = 1}, steps);
    v.value({.name = "shuffle", .help = "mix the order"}, shuffle);
    v.value({.name = "dtype", .help = "storage", .choices = {"f32", "bf16"}}, dtype);
    v.value({.name = "tags", .help = "labels", .choices = {"a", "b\"", "tab\t"}}, tags);
  }
};

struct SourceOptions {
  std::string path;
  double weight = 1.0;
  TrainOptions nested;
  void visit(Visitor& v) {
    v.table({.name = "nested", .help = "declared before the fields"}, nested);
    v.path({.name = "path", .help = "where"}, path);
    v.value({.name = "weight", .help = "share"}, weight);
  }
};

struct Options {
  std::string name = "x";
  std::string base = "init:tiny";
  TrainOptions train;
  std::map<std::string, SourceOptions> source;
  void visit(Visitor& v) {
    v.value({.name = "name", .help = "name"}, name);
    v.path({.name = "base", .help = "model"}, base);
    v.table({.name = "train", .help = "training"}, train);
    v.named_tables({.name = "source", .help = "sources"}, source);
  }
};

class ConfigFileTest : public testing::Test {
 protected:
  ConfigFileTest() : folder_(scratch_path()) { fs::create_directories(folder_); }
  ~ConfigFileTest() override { fs::remove_all(folder_); }

  [[nodiscard]] fs::path file() const { return folder_ / "nativo.toml"; }

  Options read(const std::string& text, const std::vector<std::string>& overrides = {}) {
    std::ofstream(file(), std::ios::binary) << text;
    ConfigFile config(file(), overrides);
    Options options;
    config.read(options);
    return options;
  }

  /// The message without the file's name, or "" when nothing was thrown.
  std::string failure(const std::string& text, const std::vector<std::string>& overrides = {},
                      ExitCode code = ExitCode::kConfig) {
    try {
      read(text, overrides);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), code);
      hint_ = e.hint();
      std::string message = e.what();
      const std::string prefix = file().native() + ":";
      if (message.starts_with(prefix)) message = "FILE:" + message.substr(prefix.size());
      return message;
    }
    return {};
  }

  fs::path folder_;
  std::string hint_;
};

TEST_F(ConfigFileTest, AnEmptyFileLeavesTheDefaults) {
  const Options options = read("");
  EXPECT_EQ(options.name, "x");
  EXPECT_EQ(options.base, "init:tiny");
  EXPECT_EQ(options.train.lr, 1e-5);
  EXPECT_TRUE(options.source.empty());
}

TEST_F(ConfigFileTest, ReadsEveryKindOfField) {
  const Options options = read(R"(
name = "città"
[train]
lr = 1
steps = 5
shuffle = false
dtype = "f32"
tags = ["a", "tab\t"]
[source.dolly]
path = "data/dolly.jsonl"
[source."with dot.s"]
weight = 0.25
nested.lr = 0.5
)");
  EXPECT_EQ(options.name, "città");
  EXPECT_EQ(options.train.lr, 1.0);  // an integer where a number is wanted
  EXPECT_EQ(options.train.steps, 5);
  EXPECT_FALSE(options.train.shuffle);
  EXPECT_EQ(options.train.dtype, "f32");
  EXPECT_EQ(options.train.tags, (std::vector<std::string>{"a", "tab\t"}));
  ASSERT_EQ(options.source.size(), 2U);
  EXPECT_EQ(options.source.at("with dot.s").weight, 0.25);
  EXPECT_EQ(options.source.at("with dot.s").nested.lr, 0.5);
}

TEST_F(ConfigFileTest, PathsStartAtTheFilesFolder) {
  const Options options = read(
      "base = 'models/../base'\n[source]\na.path = 'x/y'\nb.path = '/x/y'\nc.path = ''\n"
      "d.path = 'init:tiny'",
      {"source.e.path=x/y", "source.f.weight=2"});
  EXPECT_EQ(options.base, (folder_ / "base").native());
  EXPECT_EQ(options.source.at("a").path, (folder_ / "x/y").native());
  EXPECT_EQ(options.source.at("b").path, "/x/y");
  EXPECT_EQ(options.source.at("c").path, "");
  EXPECT_EQ(options.source.at("d").path, "init:tiny");
  EXPECT_EQ(options.source.at("e").path, "x/y");
  EXPECT_EQ(options.source.at("f").path, "");
}

TEST_F(ConfigFileTest, UnknownKeysNameTheirPlaceAndTheNearestKey) {
  EXPECT_EQ(failure("name = 'a'\n[train]\nlearnig_rate = 1\n"),
            "FILE:3:1: unknown key \"learnig_rate\" in [train]; did you mean \"lr\"?");
  EXPECT_THAT(hint_, HasSubstr("steps"));
  EXPECT_EQ(failure("[train]\n  stepz = 1\n"),
            "FILE:2:3: unknown key \"stepz\" in [train]; did you mean \"steps\"?");
  EXPECT_EQ(failure("[trian]\nlr = 1\n"),
            "FILE:1:2: unknown key \"trian\"; did you mean \"train\"?");
  EXPECT_EQ(failure("[source.dolly]\npth = 'x'\n"),
            "FILE:2:1: unknown key \"pth\" in [source.dolly]; did you mean \"path\"?");
  EXPECT_EQ(failure("qqqqqqqqqqqq = 1"), "FILE:1:1: unknown key \"qqqqqqqqqqqq\"");
  // The first of the file, whatever the alphabet says; overrides come last.
  EXPECT_THAT(failure("zz = 1\naa = 2\n", {"train.b=1"}),
              HasSubstr("FILE:1:1: unknown key \"zz\""));
}

TEST_F(ConfigFileTest, UnknownKeysOfOverridesNameTheOverride) {
  EXPECT_EQ(failure("[train]\nlr = 0.5\n", {"train.steps=3", "train.learnig_rate=1"}),
            "--set train.learnig_rate=1: unknown key \"learnig_rate\" in [train]; did you mean "
            "\"lr\"?");
  EXPECT_EQ(failure("", {"trian.lr=1"}),
            "--set trian.lr=1: unknown key \"trian\"; did you mean \"train\"?");
  EXPECT_EQ(failure("", {"train={ step = 1 }"}),
            "--set train={ step = 1 }: unknown key \"step\" in [train]; did you mean \"steps\"?");
}

TEST_F(ConfigFileTest, WrongTypesSayWhatWasFoundAndWhatIsWanted) {
  EXPECT_EQ(failure("[train]\nlr = 'high'"), "FILE:2:6: train.lr: wants a number, found a string");
  EXPECT_EQ(failure("[train]\nsteps = 1.5"),
            "FILE:2:9: train.steps: wants an integer, found a number with a fraction");
  EXPECT_EQ(failure("[train]\nshuffle = 1"),
            "FILE:2:11: train.shuffle: wants true or false, found an integer");
  EXPECT_EQ(failure("name = 1979-05-27"), "FILE:1:8: name: wants a string, found a date or time");
  EXPECT_EQ(failure("train = 3"), "FILE:1:9: train: wants a table, found an integer");
  EXPECT_EQ(failure("[[train]]"), "FILE:1:1: train: wants a table, found a list");
  EXPECT_EQ(failure("[source]\ndolly = 'x'"),
            "FILE:2:9: source.dolly: wants a table, found a string");
  EXPECT_EQ(failure("[train]\ntags = 'a'"),
            "FILE:2:8: train.tags: wants a list of strings, found a string");
  EXPECT_EQ(failure("[train]\ntags = ['a', 2]"),
            "FILE:2:14: train.tags: wants a list of strings, found an integer in the list");
  EXPECT_EQ(failure("", {"train.lr=high"}),
            "--set train.lr=high: train.lr: wants a number, found a string");
}

TEST_F(ConfigFileTest, RangesAndChoicesAreNamed) {
  EXPECT_EQ(failure("[train]\nlr = 1.5"),
            "FILE:2:6: train.lr: 1.5 is out of range; wanted: from 0 to 1");
  EXPECT_EQ(failure("[train]\nsteps = 0"),
            "FILE:2:9: train.steps: 0 is out of range; wanted: at least 1");
  EXPECT_EQ(failure("[train]\nlr = nan"),
            "FILE:2:6: train.lr: nan is out of range; wanted: from 0 to 1");
  EXPECT_EQ(failure("source.a.weight = inf"),
            "FILE:1:19: source.a.weight: inf is out of range; wanted: a finite number");
  EXPECT_EQ(
      failure("[train]\ndtype = 'bf61'"),
      "FILE:2:9: train.dtype: \"bf61\" is not a choice; wanted: one of \"f32\", \"bf16\"; did "
      "you mean \"bf16\"?");
  EXPECT_THAT(failure("[train]\ntags = ['a', 'zzzzzz']"),
              HasSubstr("FILE:2:14: train.tags: \"zzzzzz\" is not a choice"));
}

TEST_F(ConfigFileTest, BadTomlNamesLineAndColumn) {
  EXPECT_THAT(failure("name = 'a'\n[train\n"), HasSubstr("FILE:2:7: "));
  EXPECT_THAT(failure("a = 1\na = 2\n"), HasSubstr("FILE:2:"));
  EXPECT_THAT(failure("name = \"\xff\"\n"), HasSubstr("FILE:1:"));
  EXPECT_EQ(failure("name = '\x1b[31m'").find('\x1b'), std::string::npos);
}

TEST_F(ConfigFileTest, DeepNestingIsRefusedBeforeItIsBuilt) {
  std::string key = "a";
  for (int i = 0; i < 100000; ++i) key += ".a";
  EXPECT_THAT(failure("name = 'x'\n" + key + " = 1\n"), HasSubstr("FILE:2:1: nested too deeply"));
  EXPECT_THAT(failure("[" + key + "]\n"), HasSubstr("nested too deeply"));
  EXPECT_THAT(failure("name = " + std::string(100000, '[')), HasSubstr("nested too deeply"));
  EXPECT_THAT(failure("", {key + "=1"}, ExitCode::kUsage), HasSubstr("not a key"));
  // Dots and brackets inside strings and comments are nobody's nesting.
  const std::string dots(1000, '.');
  const std::string brackets(1000, '[');
  EXPECT_EQ(read("name = '" + dots + brackets + "' # " + dots + brackets).name, dots + brackets);
  EXPECT_EQ(read("name = '''\n" + dots + "'" + dots + "'''").name, dots + "'" + dots);
}

TEST_F(ConfigFileTest, MissingFilesAndFolders) {
  EXPECT_THROW(
      {
        try {
          ConfigFile config(folder_ / "absent.toml", {});
        } catch (const Error& e) {
          EXPECT_EQ(e.code(), ExitCode::kMissingInput);
          EXPECT_THAT(e.what(), HasSubstr("absent.toml: cannot open: No such file"));
          throw;
        }
      },
      Error);
  EXPECT_THROW(
      {
        try {
          ConfigFile config(folder_, {});
        } catch (const Error& e) {
          EXPECT_EQ(e.code(), ExitCode::kMissingInput);
          throw;
        }
      },
      Error);
}

TEST_F(ConfigFileTest, OverridesWinAndAreTomlOrElsePlainStrings) {
  const Options options =
      read("[train]\nlr = 0.5\nsteps = 7\n",
           {"train.lr=1e-3", "name=two words", " train.shuffle = false", "train.tags=['a']",
            "source.dolly.path=/x/y", "source.\"a=b\".weight=3", "train.lr=2e-3"});
  EXPECT_EQ(options.train.lr, 2e-3);
  EXPECT_EQ(options.train.steps, 7);
  EXPECT_FALSE(options.train.shuffle);
  EXPECT_EQ(options.name, "two words");
  EXPECT_EQ(options.train.tags, std::vector<std::string>{"a"});
  EXPECT_EQ(options.source.at("dolly").path, "/x/y");
  EXPECT_EQ(options.source.at("a=b").weight, 3.0);
  EXPECT_EQ(read("name = 'a'", {"name="}).name, "");
  EXPECT_EQ(read("", {"name='quoted'"}).name, "quoted");
  EXPECT_EQ(read("", {"name=1\nsource = 2"}).name, "1\nsource = 2");
}

TEST_F(ConfigFileTest, BadOverridesAreRefused) {
  EXPECT_THAT(failure("", {"name"}, ExitCode::kUsage), HasSubstr("--set name: no '='"));
  EXPECT_THAT(failure("", {"=3"}, ExitCode::kUsage), HasSubstr("not a key"));
  EXPECT_THAT(failure("", {"[train]=3"}, ExitCode::kUsage), HasSubstr("not a key"));
  EXPECT_THAT(failure("", {"#a=3"}, ExitCode::kUsage), HasSubstr("not a key"));
  EXPECT_THAT(failure("", {"a..b=3"}, ExitCode::kUsage), HasSubstr("not a key"));
  EXPECT_THAT(failure("", {"name=\xff"}, ExitCode::kUsage), HasSubstr("UTF-8"));
  EXPECT_EQ(failure("[train]\nlr=0.1", {"train.lr.x=1"}),
            "--set train.lr.x=1: train.lr is a number with a fraction, not a table");
}

TEST_F(ConfigFileTest, WithoutAFileOverridesStandAlone) {
  ConfigFile config({"base=models/x", "train.steps=3"});
  Options options;
  config.read(options);
  EXPECT_EQ(options.base, "models/x");
  EXPECT_EQ(options.train.steps, 3);
}

TEST_F(ConfigFileTest, OneFileFillsSeveralStructsOneAfterTheOther) {
  std::ofstream(file()) << "lr = 0.5\n";
  ConfigFile config(file(), {});
  TrainOptions first;
  config.read(first);
  EXPECT_EQ(first.lr, 0.5);
  Options second;  // knows no lr: what the first claimed does not count
  EXPECT_THROW(config.read(second), Error);
}

TEST_F(ConfigFileTest, WrittenTomlReadsBackTheSame) {
  Options options;
  options.name = "a \"quoted\" \\ line\nand\ttab \x01 \x7f città";
  options.base = "/abs/path";
  options.train.lr = 0.1 + 0.2;
  options.train.steps = 9007199254740993;  // 2^53 + 1: a double would lose it
  options.train.tags = {"b\"", "tab\t"};
  options.source["with dot.s"].weight = 1e-300;
  options.source["with dot.s"].nested.lr = 1.0 / 3.0;
  options.source["dolly"].path = "/x";
  options.source[""].weight = -0.0;
  options.source["big"].weight = std::numeric_limits<double>::max();
  options.source["small"].weight = std::numeric_limits<double>::denorm_min();
  const std::string text = to_toml(options);
  const Options again = read(text);
  EXPECT_EQ(to_toml(again), text);
  EXPECT_EQ(to_json(again), to_json(options));
  EXPECT_EQ(again.train.lr, 0.1 + 0.2);
  EXPECT_EQ(again.train.steps, 9007199254740993);
  EXPECT_TRUE(std::signbit(again.source.at("").weight));
  EXPECT_EQ(again.name, options.name);
}

TEST_F(ConfigFileTest, WrittenTomlKeepsTheOrderOfTheDeclaration) {
  Options options;
  options.train.lr = 5.0;
  options.source["dolly"].path = "/x";
  EXPECT_EQ(to_toml(options), R"(name = "x"
base = "init:tiny"

[train]
lr = 5.0
steps = 100
shuffle = true
dtype = "bf16"
tags = []

[source.dolly]
path = "/x"
weight = 1.0

[source.dolly.nested]
lr = 1e-05
steps = 100
shuffle = true
dtype = "bf16"
tags = []
)");
}

TEST_F(ConfigFileTest, DocumentsEveryField) {
  DocVisitor visitor;
  Options options;
  options.visit(visitor);
  std::vector<std::string> keys;
  for (const FieldDoc& doc : visitor.docs()) keys.push_back(doc.key);
  EXPECT_EQ(keys.size(), 2U + 5U + 7U);
  EXPECT_THAT(keys, testing::IsSupersetOf(
                        {"name", "train.lr", "source.NAME.path", "source.NAME.nested.tags"}));
  const FieldDoc& lr = visitor.docs()[2];
  EXPECT_EQ(lr.key, "train.lr");
  EXPECT_EQ(lr.default_value, "1e-05");
  EXPECT_EQ(lr.help, "learning rate");
  EXPECT_EQ(lr.allowed, "number, from 0 to 1");
  EXPECT_EQ(visitor.docs()[5].allowed, "string, one of \"f32\", \"bf16\"");
}

}  // namespace
}  // namespace nativo::config
