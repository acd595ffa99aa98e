// The whole stage against a scripted server on loopback: ended in the middle by a signal, by kill
// -9 and by its budget, and continued; the bytes are those of a run that nobody disturbed, and
// nothing is paid twice.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/stage.h"
#include "generate/chat_server.h"
#include "io/lines.h"
#include "io/temp_folder.h"
#include "translate/scripted_model.h"
#include "translate/translate_stage.h"

namespace nativo::translate {
namespace {

using generate::ChatServer;
using testing::HasSubstr;

constexpr int kRecords = 30;
constexpr int kQuestions = 2 * kRecords;  // two messages each, all different
constexpr int kConcurrency = 4;

/// English records with things to protect.
std::filesystem::path write_records(const io::TempFolder& folder) {
  std::string lines;
  for (int i = 0; i < kRecords; ++i) {
    data::Record record;
    record.messages = {
        {"user",
         fmt::format("Question {}: how do I use `f({})`?\n\n  - see https://x.it/{}", i, i, i)},
        {"assistant",
         fmt::format("Answer {}:\n```\nf({})\n```\nThat is 37.5% of {}.", i, i, i * 100)}};
    record.lang = "en";
    record.source = "test";
    record.licence = "CC0-1.0";
    record.id = data::content_id(record);
    lines += data::to_line(record) + "\n";
  }
  return folder.put("input.jsonl", lines);
}

/// Good answers, but the 5th and then every 7th question is misheard at first.
ChatServer::Behaviour scripted(std::function<void(int)> on_question) {
  const auto count = std::make_shared<std::atomic<int>>(0);
  return [count, on_question = std::move(on_question)](
             ChatServer::Peer& peer, const std::string& words, int attempt, const Json&) {
    const int number = ++*count;
    on_question(number);
    peer.wait(0.004 * (number % 5));
    if (attempt == 1 && number % 7 == 5) return peer.reset();
    peer.send(io::http_answer(200, generate::completion(tagged(shouted(asked_text(words))))));
  };
}

struct StageRun {
  std::filesystem::path input;
  std::filesystem::path folder;  ///< of the run
  TranslateOptions options;

  StageRun(const io::TempFolder& temp, const std::string& name, const std::string& url)
      : input(write_records(temp)), folder(temp / name) {
    options.engine = "llm";
    options.block_rows = 8;
    options.llm.chat.cache = folder / "cache";
    options.llm.chat.url = url;
    options.llm.chat.model = "scripted";
    options.llm.chat.concurrency = kConcurrency;
    options.llm.chat.retry_wait = 0.01;
  }
  data::Manifest go() const {
    data::StageSpec spec{
        .name = "translate", .key = "0123456789abcdef", .version = 1, .options = {}};
    data::RecordReader reader(std::vector<data::fs::path>{input});
    const TranslateSetting setting{.target = "it", .memory = {}, .source_steps = {}};
    return run_translate(folder / "stages" / "translate", spec, reader, options, setting, {});
  }
  [[nodiscard]] std::string output() const {
    std::string all;
    for (const data::Record& record : data::read_all(folder / "stages" / "translate")) {
      all += data::to_line(record) + "\n";
    }
    return all;
  }
};

TEST(LlmStage, TranslatesAFileOfRecords) {
  const io::TempFolder temp;
  ChatServer server(scripted([](int) {}));
  const StageRun run(temp, "run", server.url());
  const data::Manifest manifest = run.go();
  EXPECT_EQ(manifest.rows_out, static_cast<std::uint64_t>(kRecords));
  const auto records = data::read_all(run.folder / "stages" / "translate");
  for (int i = 0; i < kRecords; ++i) {
    const data::Record& record = records[static_cast<std::size_t>(i)];
    EXPECT_EQ(record.lang, "it");
    EXPECT_EQ(
        record.messages[0].content,
        fmt::format("QUESTION {}: HOW DO I USE `f({})`?\n\n  - SEE https://x.it/{}", i, i, i));
    EXPECT_EQ(record.messages[1].content,
              fmt::format("ANSWER {}:\n```\nf({})\n```\nTHAT IS 37.5% OF {}.", i, i, i * 100));
  }
  // Once more with everything thrown away but the cache: nobody is asked.
  const int asked = server.total();
  const std::string first = run.output();
  std::filesystem::remove_all(run.folder / "stages");
  (void)run.go();
  EXPECT_EQ(server.total(), asked);
  EXPECT_EQ(run.output(), first);
}

TEST(LlmStage, KilledAndContinuedGivesTheSameBytesAndPaysNothingTwice) {
  for (const int kill_at : {3, 25, 50}) {
    SCOPED_TRACE(kill_at);
    const io::TempFolder temp;
    int port_pipe[2] = {};
    ASSERT_EQ(::pipe(port_pipe), 0);
    const pid_t child = ::fork();  // before there are threads
    if (child == 0) {
      int port = 0;
      if (::read(port_pipe[0], &port, sizeof port) != sizeof port) ::_exit(2);
      try {
        (void)StageRun(temp, "run", fmt::format("http://127.0.0.1:{}/v1", port)).go();
      } catch (...) {
        ::_exit(3);
      }
      ::_exit(0);
    }
    ChatServer server(scripted([&](int number) {
      if (number == kill_at) ::kill(child, SIGKILL);
    }));
    const int port = server.server().port();
    ASSERT_EQ(::write(port_pipe[1], &port, sizeof port), static_cast<ssize_t>(sizeof port));
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;

    const StageRun run(temp, "run", server.url());
    (void)run.go();
    // Asked again: the misheard ones, and those that were on their way when the process died.
    int twice = 0;
    for (const auto& [question, times] : server.asked()) twice += times - 1;
    const int misheard = server.total() / 7 + 1;
    EXPECT_LE(twice, misheard + kConcurrency);
    EXPECT_EQ(server.asked().size(), static_cast<std::size_t>(kQuestions));

    const StageRun undisturbed(temp, "other", server.url());
    (void)undisturbed.go();
    EXPECT_EQ(run.output(), undisturbed.output());
    ::close(port_pipe[0]);
    ::close(port_pipe[1]);
  }
}

TEST(LlmStage, ABudgetEndsItCleanlyAndMoreContinues) {
  const io::TempFolder temp;
  ChatServer server(scripted([](int) {}));
  StageRun run(temp, "run", server.url());
  run.options.llm.chat.max_retries = 6;
  run.options.llm.chat.budget_tokens = 12'000;
  try {
    (void)run.go();
    ADD_FAILURE() << "the budget was not enough and nobody said so";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kTryAgain);
    EXPECT_THAT(e.what(), HasSubstr("budget_tokens = 12000"));
  }
  EXPECT_FALSE(std::filesystem::exists(run.folder / "stages" / "translate"));
  const int paid = server.total();
  EXPECT_GT(paid, 2);
  run.options.llm.chat.budget_tokens = 0;
  EXPECT_EQ(run.go().rows_out, static_cast<std::uint64_t>(kRecords));
  EXPECT_LE(server.total(), kQuestions + kQuestions / 5);
}

TEST(LlmStage, ADeadServerEndsItAndRejectsNobody) {
  const io::TempFolder temp;
  std::string url;
  {
    url = ChatServer(scripted([](int) {})).url();
  }
  StageRun run(temp, "run", url);
  run.options.llm.chat.max_retries = 0;
  try {
    (void)run.go();
    ADD_FAILURE() << "records were translated by nobody";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kTryAgain);
  }
  EXPECT_FALSE(std::filesystem::exists(run.folder / "stages" / "translate"));
}

}  // namespace
}  // namespace nativo::translate
