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

TEST_F(TranslationMemoryTest, ALaterRunFindsWhatWasSaved) {
  {
    TranslationMemory memory(folder_);
    memory.add(key_of("a"), "a\nb", {"à \"x\"\n", 3, 1, true});
    memory.add(key_of("bad"), "bad", {"", 0, 0, false});
    EXPECT_TRUE(files().empty());  // nothing is written before it is asked for
    memory.save();
    memory.save();
    EXPECT_FALSE(memory.find(key_of("bad"))->ok);
  }
  EXPECT_EQ(files().size(), 1U);
  const TranslationMemory later(folder_);
  ASSERT_NE(later.find(key_of("a")), nullptr);
  EXPECT_EQ(later.find(key_of("a"))->text, "à \"x\"\n");
  EXPECT_EQ(later.find(key_of("a"))->words, 3U);
  EXPECT_EQ(later.find(key_of("a"))->unknown, 1U);
  EXPECT_EQ(later.find(key_of("bad")), nullptr);  // a failure is tried again
  EXPECT_EQ(later.size(), 1U);
}

TEST_F(TranslationMemoryTest, WritersSeeEachOther) {
  TranslationMemory a(folder_);
  TranslationMemory b(folder_);
  a.add(key_of("1"), "1", {"uno", 1, 0, true});
  a.save();
  EXPECT_EQ(b.find(key_of("1")), nullptr);
  b.refresh();
  ASSERT_NE(b.find(key_of("1")), nullptr);
  b.add(key_of("2"), "2", {"due", 1, 0, true});
  b.save();
  a.add(key_of("2"), "2", {"dué", 1, 0, true});
  a.refresh();
  EXPECT_EQ(a.find(key_of("2"))->text, "dué");  // the known one stays
  EXPECT_EQ(files().size(), 2U);                // a file each
}

TEST_F(TranslationMemoryTest, EveryTornTailAndEveryDamagedLineIsPassedOver) {
  const std::string first = memory_line(key_of("1"), "1", {"uno", 1, 0, true}) + "\n";
  const std::string second = memory_line(key_of("2"), "2", {"due", 1, 0, true}) + "\n";
  fs::create_directories(folder_);
  for (std::size_t cut = 0; cut < second.size(); ++cut) {
    std::ofstream(folder_ / "x.memory", std::ios::binary) << first << second.substr(0, cut);
    const TranslationMemory memory(folder_);
    EXPECT_EQ(memory.size(), 1U) << cut;
    EXPECT_EQ(memory.damaged(), 0U);
  }
  for (std::size_t at = 0; at + 1 < first.size(); ++at) {
    std::string damaged = first;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    if (damaged[at] == '\n') continue;
    std::ofstream(folder_ / "x.memory", std::ios::binary) << damaged << second;
    const TranslationMemory memory(folder_);
    EXPECT_EQ(memory.size(), 1U) << at;
    EXPECT_NE(memory.find(key_of("2")), nullptr);
    EXPECT_EQ(memory.damaged(), 1U);
  }
}

TEST_F(TranslationMemoryTest, ALineThatIsFinishedLaterIsReadThen) {
  const std::string line = memory_line(key_of("1"), "1", {"uno", 1, 0, true}) + "\n";
  fs::create_directories(folder_);
  std::ofstream file(folder_ / "x.memory", std::ios::binary);
  file << line.substr(0, 20) << std::flush;
  TranslationMemory memory(folder_);
  EXPECT_EQ(memory.size(), 0U);
  file << line.substr(20) << std::flush;
  memory.refresh();
  EXPECT_EQ(memory.size(), 1U);
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
        memory.save();
        memory.refresh();
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  const TranslationMemory memory(folder_);
  EXPECT_EQ(memory.size(), 400U);
  EXPECT_EQ(memory.damaged(), 0U);
}

}  // namespace
}  // namespace nativo::translate
