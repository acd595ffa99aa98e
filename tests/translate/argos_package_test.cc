// Argos packages as files and folders, whole and damaged.
#include "translate/argos_package.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "base/error.h"
#include "io/host.h"
#include "io/temp_folder.h"
#include "io/zip_builder.h"

namespace nativo::translate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const char* kMetadata =
    R"({"package_version": "1.10", "argos_version": "1.9", "from_code": "en", "to_code": "it"})";

std::string archive(const std::string& metadata = kMetadata) {
  return io::ZipBuilder()
      .add({.name = "translate-en_it-1_10/", .mode = 040755})
      .add("translate-en_it-1_10/metadata.json", metadata)
      .add("translate-en_it-1_10/sentencepiece.model", "pieces")
      .add("translate-en_it-1_10/model/model.bin", "weights")
      .add("translate-en_it-1_10/model/shared_vocabulary.txt", "a\n")
      .add("translate-en_it-1_10/model/sub/model.bin", "no")
      .add("translate-en_it-1_10/stanza/en.pt", "a pickle")
      .add("other.txt", "outside")
      .bytes();
}

std::string refusal(const std::function<void()>& action, ExitCode code = ExitCode::kData) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "accepted";
}

TEST(ArgosPackage, AnArchiveIsUnpackedOnceAndVerified) {
  const io::TempFolder folder;
  const fs::path path = folder.put("p.argosmodel", archive());
  EXPECT_EQ(read_argos_metadata(path).name(), "en_it 1.10");
  EXPECT_THAT(folder.names(), ElementsAre("p.argosmodel"));
  const ArgosPackage package = open_argos_package(path);
  EXPECT_EQ(package.metadata.from, "en");
  EXPECT_EQ(package.subwords, ArgosSubwords::kSentencePiece);
  EXPECT_EQ(io::bytes_of(package.model() / "model.bin"), "weights");
  EXPECT_EQ(io::bytes_of(package.tokenizer()), "pieces");
  EXPECT_FALSE(fs::exists(package.folder / "stanza"));
  EXPECT_FALSE(fs::exists(package.folder / "model/sub"));
  EXPECT_FALSE(fs::exists(package.folder / "other.txt"));
  EXPECT_EQ(folder.names().size(), 2U);
  EXPECT_EQ(open_argos_package(path).digest, package.digest);
  // Opening the unpacked folder is the same package.
  EXPECT_EQ(open_argos_package(package.folder).digest, package.digest);
  // A changed file is found.
  io::write_file_atomically(package.model() / "model.bin", "Weights");
  EXPECT_THAT(refusal([&] { (void)open_argos_package(path); }),
              HasSubstr("not those that were unpacked"));
  fs::remove(package.model() / "model.bin");
  EXPECT_THAT(refusal([&] { (void)open_argos_package(path); }),
              HasSubstr("not those that were unpacked"));
  fs::remove_all(package.folder);
  EXPECT_EQ(open_argos_package(path).digest, package.digest);
  // Another archive under the same name is unpacked by itself.
  folder.put("p.argosmodel", archive(R"({"from_code": "en", "to_code": "es"})"));
  EXPECT_EQ(open_argos_package(path).metadata.name(), "en_es 1.0");
}

TEST(ArgosPackage, WhatAKilledProcessLeftIsCollected) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  const io::TempFolder folder;
  const fs::path path = folder.put("p.argosmodel", archive());
  const std::string begin = path.native() + ".unpacked-0123456789abcdef.new-";
  const fs::path dead = begin + io::host_name() + ".tmp-" + std::to_string(child);
  const fs::path alive = begin + io::host_name() + ".tmp-" + std::to_string(::getppid());
  const fs::path elsewhere = begin + "another-host.tmp-" + std::to_string(child);
  for (const fs::path& one : {dead, alive, elsewhere}) fs::create_directories(one / "model");
  (void)open_argos_package(path);
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_TRUE(fs::exists(alive));
  EXPECT_TRUE(fs::exists(elsewhere));
}

TEST(ArgosPackage, TheLockFileIsHeldTo) {
  const io::TempFolder folder;
  const fs::path path = folder.put("p.argosmodel", archive());
  write_package_lock(path, {"https://example.org/p", io::file_sha256(path), fs::file_size(path)});
  EXPECT_EQ(verify_package_lock(path), io::file_sha256(path));
  (void)open_argos_package(path);
  folder.put("p.argosmodel", archive() + "x");
  EXPECT_THAT(refusal([&] { (void)open_argos_package(path); }),
              HasSubstr("is not the file that was fetched"));
  folder.put("p.argosmodel.lock.json", "{}");
  EXPECT_THAT(refusal([&] { (void)open_argos_package(path); }), HasSubstr("no \"sha256\""));
  folder.put("p.argosmodel.lock.json", "{");
  EXPECT_NE(refusal([&] { (void)open_argos_package(path); }), "accepted");
}

TEST(ArgosPackage, PathsMeanFilesFoldersAndFoldersOfThem) {
  const io::TempFolder folder;
  folder.put("all/b.argosmodel", archive());
  folder.put("all/c/metadata.json", kMetadata);
  folder.put("all/d/inner/metadata.json", kMetadata);
  folder.put("all/readme.txt", "");
  (void)open_argos_package(folder / "all/b.argosmodel");
  EXPECT_THAT(find_argos_packages(folder / "all"),
              ElementsAre(folder / "all/b.argosmodel", folder / "all/c", folder / "all/d/inner"));
  EXPECT_THAT(find_argos_packages(folder / "all/d"), ElementsAre(folder / "all/d/inner"));
  EXPECT_THAT(find_argos_packages(folder / "all/b.argosmodel"),
              ElementsAre(folder / "all/b.argosmodel"));
  fs::create_directories(folder / "empty");
  EXPECT_THAT(
      refusal([&] { (void)find_argos_packages(folder / "empty"); }, ExitCode::kMissingInput),
      HasSubstr("no Argos package in it"));
  EXPECT_THAT(refusal([&] { (void)find_argos_packages(folder / "none"); }, ExitCode::kMissingInput),
              HasSubstr("no such file or folder"));
}

TEST(ArgosPackage, WhatIsMissingOrDoubledIsNamed) {
  const io::TempFolder folder;
  const auto opening = [&](const io::ZipBuilder& zip) {
    const fs::path path = folder.put("p.argosmodel", zip.bytes());
    return refusal([&] { (void)open_argos_package(path); });
  };
  EXPECT_THAT(opening(io::ZipBuilder().add("a.txt", "")), HasSubstr("it has no metadata.json"));
  EXPECT_THAT(opening(io::ZipBuilder().add("a/b/c/metadata.json", kMetadata)),
              HasSubstr("it has no metadata.json"));
  EXPECT_THAT(
      opening(io::ZipBuilder().add("a/metadata.json", kMetadata).add("b/metadata.json", kMetadata)),
      HasSubstr("several packages"));
  EXPECT_THAT(opening(io::ZipBuilder().add("metadata.json", kMetadata).add("model/x", "")),
              HasSubstr("it has no bpe.model"));
  EXPECT_THAT(opening(io::ZipBuilder().add("metadata.json", kMetadata).add("bpe.model", "a b")),
              HasSubstr("it has no model.bin"));
  EXPECT_THAT(opening(io::ZipBuilder().add("../metadata.json", kMetadata)), HasSubstr("leaves"));
  folder.put("text.argosmodel", "not a zip");
  EXPECT_THAT(refusal([&] { (void)open_argos_package(folder / "text.argosmodel"); }),
              HasSubstr("not a usable zip archive"));
}

TEST(ArgosMetadata, IsChecked) {
  const auto parse = [](const std::string& text) {
    return refusal([&] { (void)parse_argos_metadata(parse_json(text, "m"), "metadata.json"); });
  };
  EXPECT_EQ(parse(kMetadata), "accepted");
  EXPECT_EQ(parse(R"({"from_code": "pt_BR", "to_code": "zh-Hans", "type": "translate"})"),
            "accepted");
  EXPECT_THAT(parse("[]"), HasSubstr("metadata.json: is no JSON object"));
  EXPECT_THAT(parse(R"({"to_code": "it"})"), HasSubstr("\"from_code\" is no language's code"));
  EXPECT_THAT(parse(R"({"from_code": 3, "to_code": "it"})"), HasSubstr("\"from_code\" is no text"));
  EXPECT_THAT(parse(R"({"from_code": "../x", "to_code": "it"})"), HasSubstr("from_code"));
  EXPECT_THAT(parse(R"({"from_code": "en", "to_code": "en"})"), HasSubstr("into itself"));
  EXPECT_THAT(parse(R"({"from_code": "en", "to_code": "it", "type": "sbd"})"),
              HasSubstr("of type \"sbd\""));
  EXPECT_THAT(parse(R"({"from_code": "en", "to_code": "it", "package_version": "1/2"})"),
              HasSubstr("no version"));
}

TEST(ArgosMetadata, VersionsAreNumbers) {
  EXPECT_LT(compare_versions("1.9", "1.10"), 0);
  EXPECT_GT(compare_versions("2", "1.99"), 0);
  EXPECT_EQ(compare_versions("1.0", "1"), 0);
}

TEST(ShortestRoute, FewestStepsThenNames) {
  const std::vector<LanguagePair> pairs = {{"en", "fr"}, {"fr", "it"}, {"en", "es"}, {"es", "it"},
                                           {"it", "de"}, {"en", "pt"}, {"pt", "de"}, {"es", "it"}};
  EXPECT_THAT(shortest_route(pairs, "en", "it"), ElementsAre(2U, 3U));  // through es, not fr
  EXPECT_THAT(shortest_route(pairs, "en", "de"), ElementsAre(5U, 6U));  // two steps, not three
  EXPECT_THAT(shortest_route(pairs, "it", "en"), IsEmpty());
  EXPECT_THAT(shortest_route(pairs, "en", "en"), IsEmpty());
}

}  // namespace
}  // namespace nativo::translate
