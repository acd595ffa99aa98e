#include "translate/translation_memory.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "base/error.h"
#include "fake_engine.h"
#include "io/file.h"

namespace nativo::translate {
namespace {

namespace fs = std::filesystem;

class TranslationMemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("nativo-memory-{}", ::getpid());
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  [[nodiscard]] std::vector<fs::path> files() const {
    std::vector<fs::path> all;
    if (!fs::exists(folder_)) return all;
    for (const auto& entry : fs::directory_iterator(folder_)) all.push_back(entry.path());
    return all;
  }
  fs::path folder_;
};

std::string key_of(const std::string& text) {
  return TranslationMemory::key(FakeEngine(), "en", "it", text);
}

TEST_F(TranslationMemoryTest, ALaterRunFindsWhatWasAdded) {
  {
    TranslationMemory memory(folder_);
    memory.add(key_of("a"), "a\nb", {"à \"x\"\n", 3, 1, true});
    memory.add(key_of("bad"), "bad", {"", 0, 0, false});
    EXPECT_FALSE(memory.find(key_of("bad"))->ok);
  }
  EXPECT_EQ(files().size(), 1U);
  TranslationMemory later(folder_);
  ASSERT_NE(later.find(key_of("a")), nullptr);
  EXPECT_EQ(later.find(key_of("a"))->text, "à \"x\"\n");
  EXPECT_EQ(later.find(key_of("a"))->words, 3U);
  EXPECT_EQ(later.find(key_of("a"))->unknown, 1U);
  EXPECT_EQ(later.find(key_of("bad")), nullptr);  // a failure is tried again
}

TEST_F(TranslationMemoryTest, WithoutAFolderItIsThisProcessAlone) {
  TranslationMemory memory;
  memory.add(key_of("a"), "a", {"uno", 1, 0, true});
  memory.refresh();
  EXPECT_EQ(memory.find(key_of("a"))->text, "uno");
  EXPECT_EQ(memory.find(key_of("b")), nullptr);
  EXPECT_TRUE(files().empty());
}

TEST_F(TranslationMemoryTest, WritersSeeEachOther) {
  TranslationMemory a(folder_);
  TranslationMemory b(folder_);
  a.add(key_of("1"), "1", {"uno", 1, 0, true});
  b.add(key_of("1"), "1", {"", 0, 0, false});  // b had no luck with it
  EXPECT_FALSE(b.find(key_of("1"))->ok);
  b.refresh();
  EXPECT_EQ(b.find(key_of("1"))->text, "uno");
  b.add(key_of("2"), "2", {"due", 1, 0, true});
  a.add(key_of("2"), "2", {"dué", 1, 0, true});
  a.refresh();
  EXPECT_EQ(a.find(key_of("2"))->text, "dué");  // the known one stays
  EXPECT_EQ(files().size(), 2U);                // a file each
}

TEST_F(TranslationMemoryTest, ADamagedLineCostsAnAnswer) {
  {
    TranslationMemory memory(folder_);
    memory.add(key_of("1"), "1", {"uno", 1, 0, true});
    memory.add(key_of("2"), "2", {"due", 1, 0, true});
  }
  std::fstream file(files().front(), std::ios::in | std::ios::out);
  file.seekp(60);
  file.put('#');
  file.close();
  TranslationMemory memory(folder_);
  EXPECT_EQ(memory.find(key_of("1")), nullptr);
  EXPECT_EQ(memory.find(key_of("2"))->text, "due");
  EXPECT_EQ(memory.damaged(), 1U);
}

TEST_F(TranslationMemoryTest, KeysTellEnginesVersionsAndLanguagesApart) {
  class Other : public FakeEngine {
   public:
    std::string version() const override { return "2"; }
  };
  const std::string key = key_of("a");
  EXPECT_NE(key, TranslationMemory::key(Other(), "en", "it", "a"));
  EXPECT_NE(key, TranslationMemory::key(FakeEngine(), "en", "de", "a"));
  EXPECT_NE(key, TranslationMemory::key(FakeEngine(), "eni", "t", "a"));
  EXPECT_EQ(key, key_of("a"));
}

TEST_F(TranslationMemoryTest, ManyWritersAtOnceLoseNothing) {
  std::vector<std::thread> writers;
  for (int w = 0; w < 8; ++w) {
    writers.emplace_back([&, w] {
      TranslationMemory memory(folder_);
      for (int i = 0; i < 50; ++i) {
        const std::string text = fmt::format("{} {}", w, i);
        memory.add(key_of(text), text, {text, 1, 0, true});
        memory.refresh();
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  TranslationMemory memory(folder_);
  for (int w = 0; w < 8; ++w) {
    for (int i = 0; i < 50; ++i) {
      EXPECT_NE(memory.find(key_of(fmt::format("{} {}", w, i))), nullptr);
    }
  }
  EXPECT_EQ(memory.damaged(), 0U);
}

}  // namespace
}  // namespace nativo::translate
