// The client against a server that misbehaves in every way on the list, and the promises that it
// keeps meanwhile: order, nothing paid twice, the budget, no secrets.
#include "generate/chat_client.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "generate/chat_server.h"
#include "generate/token_bucket.h"
#include "io/temp_folder.h"

namespace nativo::generate {
namespace {

using io::http_answer;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Peer = ChatServer::Peer;

ChatModelOptions options_for(const ChatServer& server, const io::TempFolder& folder) {
  ChatModelOptions options;
  options.url = server.url();
  options.cache = folder / "cache";
  options.model = "scripted";
  options.max_retries = 3;
  options.retry_wait = 0.01;
  options.timeout = 10;
  return options;
}

ChatQuestion question(const std::string& words, std::int64_t max_tokens = 20) {
  return {{{"user", words}}, max_tokens};
}

std::vector<ChatQuestion> questions(int count) {
  std::vector<ChatQuestion> all;
  for (int i = 0; i < count; ++i) all.push_back(question(fmt::format("question {}", i)));
  return all;
}

/// The error that asking ends with.
Error failure(ChatClient& client, const std::vector<ChatQuestion>& asked) {
  try {
    (void)client.ask(asked);
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "no error came";
  return {ExitCode::kOk, ""};
}

TEST(ChatClient, AnswersInOrderWhateverTheOrderOfTheServer) {
  const io::TempFolder folder;
  std::atomic<int> now = 0;
  std::atomic<int> most = 0;
  ChatServer server([&](Peer& peer, const std::string& words, int, const Json&) {
    const int number = std::stoi(words.substr(9));
    most = std::max(most.load(), ++now);
    peer.wait(0.002 * ((number * 7) % 13));
    --now;
    peer.send(http_answer(200, completion("answer " + words.substr(9))));
  });
  ChatClient client(options_for(server, folder));
  const auto answers = client.ask(questions(40));
  ASSERT_EQ(answers.size(), 40U);
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(answers[static_cast<std::size_t>(i)].text, fmt::format("answer {}", i));
  }
  EXPECT_LE(most, 8);
  EXPECT_GE(most, 2);
  EXPECT_EQ(client.usage().asked, 40);
  EXPECT_EQ(client.spent_tokens(), 40 * 15);
  EXPECT_EQ(server.server().seen().front().target, "/v1/chat/completions");
}

TEST(ChatClient, AsksNothingTwice) {
  const io::TempFolder folder;
  ChatServer server(ChatServer::saying([](const std::string& words) { return "<" + words + ">"; }));
  const ChatModelOptions options = options_for(server, folder);
  std::vector<ChatQuestion> asked = questions(5);
  asked.push_back(asked[2]);
  {
    ChatClient client(options);
    EXPECT_EQ(client.ask(asked)[5].text, "<question 2>");
    EXPECT_EQ(client.ask(asked)[4].text, "<question 4>");
  }
  EXPECT_EQ(server.total(), 5);
  ChatClient again(options);
  EXPECT_EQ(again.ask(asked)[5].text, "<question 2>");
  EXPECT_EQ(server.total(), 5);
  EXPECT_EQ(again.usage().asked, 0);
  EXPECT_EQ(again.usage().cached, 5);
  EXPECT_EQ(again.spent_tokens(), 5 * 15);
  // Another model, temperature or length is another question.
  ChatModelOptions warm = options;
  warm.temperature = 0.5;
  EXPECT_EQ(ChatClient(warm).ask(asked)[0].text, "<question 0>");
  EXPECT_EQ(server.total(), 10);
}

/// One way to misbehave, at the first attempt only.
struct Misdeed {
  std::string name;
  std::function<void(Peer&)> act;
};

std::vector<Misdeed> misdeeds() {
  const std::string good = completion("wrong one");
  const auto sends = [](std::string bytes) {
    return [bytes = std::move(bytes)](Peer& peer) { peer.send(bytes); };
  };
  return {
      {"slow drip", [](Peer& p) { p.drip(http_answer(200, completion("slow")), 0.05); }},
      {"silence", [](Peer& p) { p.wait(5); }},
      {"truncated JSON", sends(http_answer(200, good.substr(0, good.size() / 2)))},
      {"shorter than announced",
       [good](Peer& p) {
         p.send(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", good.size() + 10,
                            good));
         p.close();
       }},
      {"HTML with 200", sends(http_answer(200, "<html>error</html>", "text/html"))},
      {"error with 200", sends(http_answer(200, R"({"error":{"message":"overloaded"}})"))},
      {"empty choices", sends(http_answer(200, R"({"choices":[]})"))},
      {"empty body", sends(http_answer(200, ""))},
      {"chunked garbage",
       sends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nnonsense\r\n")},
      {"false gzip",
       sends(http_answer(200, good, "application/json", "Content-Encoding: gzip\r\n"))},
      {"duplicated answer", sends(http_answer(200, good + good))},
      {"reset at once", [](Peer& p) { p.reset(); }},
      {"reset mid-body",
       [good](Peer& p) {
         p.send("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + good);
         p.wait(0.02);
         p.reset();
       }},
      {"invalid UTF-8",
       sends(http_answer(200, "{\"choices\":[{\"message\":{\"content\":\"\xC3\x28\"}}]}"))},
      {"event stream", sends(http_answer(200, "data: {}\n\ndata: [DONE]\n", "text/event-stream"))},
      {"no HTTP", sends("SSH-2.0-OpenSSH\r\n")},
      {"too large", sends(http_answer(200, std::string(9U << 20U, ' ')))},
      {"429", sends(http_answer(429, R"({"error":{"message":"slow down"}})"))},
      {"429 with Retry-After", sends(http_answer(429, "", "text/plain", "Retry-After: 0\r\n"))},
      {"500", sends(http_answer(500, "oops", "text/plain"))},
      {"502 HTML", sends(http_answer(502, "<html>Bad Gateway</html>", "text/html"))},
      {"503", sends(http_answer(503, ""))},
      {"408", sends(http_answer(408, ""))},
  };
}

TEST(ChatClient, OutlivesEveryMisdeedAndTakesTheGoodAnswer) {
  for (const Misdeed& misdeed : misdeeds()) {
    SCOPED_TRACE(misdeed.name);
    const io::TempFolder folder;
    ChatServer server([&](Peer& peer, const std::string& words, int attempt, const Json&) {
      if (attempt == 1) {
        misdeed.act(peer);
        peer.close();
      } else {
        peer.send(http_answer(200, completion("right: " + words)));
      }
    });
    ChatModelOptions options = options_for(server, folder);
    options.timeout = 0.6;
    ChatClient client(options);
    const auto answers = client.ask(std::vector{question("a"), question("b")});
    EXPECT_EQ(answers[0].text, "right: a");
    EXPECT_EQ(answers[1].text, "right: b");
    EXPECT_EQ(client.usage().retries, 2);
    EXPECT_EQ(client.usage().asked, 2);
  }
}

TEST(ChatClient, AcceptsGzipAndAnyContentType) {
  const io::TempFolder folder;
  ChatServer server([](Peer& peer, const std::string&, int, const Json&) {
    peer.send(http_answer(200, completion("fine"), "text/html"));
  });
  ChatClient client(options_for(server, folder));
  EXPECT_EQ(client.ask(std::vector{question("a")})[0].text, "fine");
  EXPECT_THAT(server.server().seen()[0].header("accept-encoding"), HasSubstr("gzip"));
}

TEST(ChatClient, EndsOtherThanStopAreAnswersToo) {
  const io::TempFolder folder;
  ChatServer server([](Peer& peer, const std::string& words, int, const Json&) {
    peer.send(http_answer(200, completion("part", words)));
  });
  ChatClient client(options_for(server, folder));
  for (int round = 0; round < 2; ++round) {
    const auto answers = client.ask(std::vector{question("length"), question("content_filter")});
    EXPECT_EQ(answers[0].end, ChatEnd::kLength);
    EXPECT_EQ(answers[0].text, "part");
    EXPECT_EQ(answers[1].end, ChatEnd::kContentFilter);
  }
  EXPECT_EQ(server.total(), 2);  // paid for: not asked again
}

TEST(ChatClient, AStormOf429IsWaitedOut) {
  const io::TempFolder folder;
  const double calm = monotonic_seconds() + 0.6;
  ChatServer server([&](Peer& peer, const std::string& words, int, const Json&) {
    if (monotonic_seconds() < calm) {
      peer.send(http_answer(429, "", "text/plain", "Retry-After: 1\r\n"));
    } else {
      peer.send(http_answer(200, completion(words)));
    }
  });
  ChatClient client(options_for(server, folder));
  const auto answers = client.ask(questions(60));
  for (const ChatAnswer& answer : answers) EXPECT_EQ(answer.end, ChatEnd::kStop);
  // Those that were not on their way when it began waited with the others.
  EXPECT_LE(server.total(), 60 + 2 * 8);
}

TEST(ChatClient, OneQuestionThatBreaksTheServerStopsNoOther) {
  const io::TempFolder folder;
  ChatServer server([](Peer& peer, const std::string& words, int, const Json&) {
    if (words == "question 3") return peer.send(http_answer(500, "crashed")), void();
    if (words == "question 4") return peer.send(http_answer(200, "<html>")), void();
    if (words == "question 5") {
      return peer.send(http_answer(400, R"({"error":{"message":"context too long"}})")), void();
    }
    peer.send(http_answer(200, completion(words)));
  });
  ChatClient client(options_for(server, folder));
  const auto answers = client.ask(questions(12));
  for (std::size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].end == ChatEnd::kFailed, i >= 3 && i <= 5) << i;
  }
  EXPECT_THAT(answers[3].reason, AllOf(HasSubstr("4 attempts"), HasSubstr("500: crashed")));
  EXPECT_THAT(answers[4].reason, HasSubstr("html"));
  EXPECT_EQ(answers[5].reason, "400: context too long");
  EXPECT_EQ(server.asked().at("question 5"), 1);
  EXPECT_EQ(client.usage().failed, 3);
}

TEST(ChatClient, ADeadServerEndsTheRunAndNothingIsLost) {
  const io::TempFolder folder;
  ChatServer server([](Peer& peer, const std::string& words, int, const Json&) {
    if (std::stoi(words.substr(9)) >= 10) return peer.reset();
    peer.send(http_answer(200, completion(words)));
  });
  ChatModelOptions options = options_for(server, folder);
  {
    ChatClient client(options);
    EXPECT_EQ(failure(client, questions(30)).code(), ExitCode::kTryAgain);
  }
  ChatClient first(options);
  const auto kept = first.ask(questions(10));
  EXPECT_EQ(first.usage().cached, 10);
  EXPECT_EQ(kept[9].text, "question 9");
}

TEST(ChatClient, NobodyThere) {
  const io::TempFolder folder;
  ChatModelOptions options;
  {
    ChatServer server(ChatServer::saying([](const std::string&) { return "x"; }));
    options = options_for(server, folder);
  }
  ChatClient client(options);
  const Error error = failure(client, questions(3));
  EXPECT_EQ(error.code(), ExitCode::kTryAgain);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("127.0.0.1"), HasSubstr("4 attempts")));
  EXPECT_EQ(client.spent_tokens(), 0);
}

TEST(ChatClient, WhatNoRetryMends) {
  const std::vector<std::pair<std::string, ExitCode>> cases = {
      {http_answer(401, R"({"error":{"message":"Incorrect API key provided: sesame"}})"),
       ExitCode::kConfig},
      {http_answer(403, ""), ExitCode::kConfig},
      {http_answer(404, R"({"error":{"message":"no such model"}})"), ExitCode::kConfig},
      {http_answer(402, ""), ExitCode::kTryAgain},
      {http_answer(429, R"({"error":{"message":"quota","code":"insufficient_quota"}})"),
       ExitCode::kTryAgain},
      {http_answer(503, "", "text/plain", "Retry-After: 7200\r\n"), ExitCode::kTryAgain},
      {http_answer(400, R"({"error":{"message":"unknown field seed"}})"), ExitCode::kIo},
      {http_answer(302, "", "text/plain", "Location: http://127.0.0.1:1/\r\n"), ExitCode::kIo},
  };
  ::setenv("NATIVO_TEST_KEY", "sesame", 1);
  for (const auto& one : cases) {
    const std::string& answer = one.first;
    const ExitCode code = one.second;
    SCOPED_TRACE(answer);
    const io::TempFolder folder;
    ChatServer server([&](Peer& peer, const std::string&, int, const Json&) { peer.send(answer); });
    ChatModelOptions options = options_for(server, folder);
    options.api_key_env = "NATIVO_TEST_KEY";
    ChatClient client(options);
    const Error error = failure(client, questions(30));
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(std::string(error.what()) + error.hint(), Not(HasSubstr("sesame")));
    EXPECT_LE(server.total(), 16);
    EXPECT_EQ(server.server().seen()[0].header("authorization"), "Bearer sesame");
    for (const std::string& name : folder.names()) {
      EXPECT_THAT(io::bytes_of(folder / name / "log-00000.log"), Not(HasSubstr("sesame")));
    }
    EXPECT_THAT(client.version(), Not(HasSubstr("sesame")));
  }
}

TEST(ChatClient, WrongOptionsAreRefusedBeforeAnythingIsAsked) {
  const io::TempFolder folder;
  const auto refused = [&](const std::function<void(ChatModelOptions&)>& change) {
    ChatModelOptions options;
    options.url = "http://127.0.0.1:1/v1";
    options.cache = folder / "cache";
    options.model = "m";
    change(options);
    try {
      const ChatClient client(options);
    } catch (const Error& e) {
      return e.code() == ExitCode::kConfig;
    }
    return false;
  };
  EXPECT_FALSE(refused([](ChatModelOptions&) {}));
  EXPECT_TRUE(refused([](ChatModelOptions& o) { o.url.clear(); }));
  EXPECT_TRUE(refused([](ChatModelOptions& o) { o.model.clear(); }));
  EXPECT_TRUE(refused([](ChatModelOptions& o) { o.api_key_env = "NATIVO_NO_SUCH_KEY"; }));
  EXPECT_TRUE(refused([](ChatModelOptions& o) { o.extra_body = "{"; }));
}

TEST(ChatClient, TheBudgetIsNeverExceededAndMoreContinues) {
  const io::TempFolder folder;
  ChatServer server(ChatServer::saying([](const std::string& words) { return words; }));
  ChatModelOptions options = options_for(server, folder);
  options.budget_tokens = 400;
  std::int64_t before = 0;
  for (int run = 0; run < 2; ++run) {  // a restart does not refill it
    ChatClient client(options);
    const Error error = failure(client, questions(50));
    EXPECT_EQ(error.code(), ExitCode::kTryAgain);
    EXPECT_THAT(error.what(), HasSubstr("budget_tokens = 400"));
    EXPECT_THAT(error.hint(), HasSubstr("raise budget_tokens"));
    EXPECT_LE(client.spent_tokens(), 400);
    EXPECT_GE(client.spent_tokens(), 200);  // it is used, not feared
    EXPECT_TRUE(run == 0 || client.spent_tokens() == before);
    before = client.spent_tokens();
  }
  const int asked = server.total();
  options.budget_tokens = 0;
  ChatClient client(options);
  EXPECT_EQ(client.ask(questions(50))[49].text, "question 49");
  EXPECT_EQ(server.total(), 50);
  EXPECT_EQ(client.usage().cached, asked);
}

TEST(ChatClient, LostAndUncountedAnswersCountInFull) {
  const io::TempFolder folder;
  ChatServer server([](Peer& peer, const std::string&, int attempt, const Json&) {
    if (attempt == 1) return peer.reset();
    peer.send(http_answer(200, R"({"choices":[{"message":{"content":"x"}}]})"));
  });
  ChatClient client(options_for(server, folder));
  (void)client.ask(std::vector{question("abc", 20)});
  EXPECT_GT(client.usage().lost_tokens, 20);
  EXPECT_EQ(client.spent_tokens(), 2 * client.usage().lost_tokens);
  EXPECT_EQ(ChatClient(options_for(server, folder)).spent_tokens(), client.spent_tokens());
}

TEST(ChatClient, CtrlCWaitsForPaidAnswersAndKeepsThem) {
  const io::TempFolder folder;
  ChatServer server([](Peer& peer, const std::string& words, int, const Json&) {
    if (words == "question 0") ::raise(SIGINT);
    peer.wait(0.5);
    peer.send(http_answer(200, completion(words)));
  });
  ChatModelOptions options = options_for(server, folder);
  options.concurrency = 3;
  install_signal_handlers();
  {
    ChatClient client(options);
    EXPECT_EQ(failure(client, questions(9)).code(), ExitCode::kTryAgain);
  }
  release_signal_handlers();
  const int paid = server.total();
  EXPECT_LE(paid, 6);
  ChatClient client(options);
  (void)client.ask(questions(9));
  EXPECT_EQ(client.usage().cached, paid);
  EXPECT_EQ(server.total(), 9);
}

TEST(ChatClient, KeepsToTheRequestsAMinute) {
  const io::TempFolder folder;
  ChatServer server(ChatServer::saying([](const std::string& words) { return words; }));
  ChatModelOptions options = options_for(server, folder);
  options.requests_per_minute = 1200;  // 20 a second, after a burst of 100
  ChatClient client(options);
  const double start = monotonic_seconds();
  (void)client.ask(questions(120));
  EXPECT_GE(monotonic_seconds() - start, 0.95);
}

TEST(TokenBucket, LetsThroughItsRateAndNoMore) {
  TokenBucket bucket(600);  // 10 a second, 50 at once
  double now = 100;
  int taken = 0;
  while (now < 160) {
    const double wait = bucket.wait(1, now);
    if (wait > 0) {
      now += wait;
      continue;
    }
    bucket.take(1, now);
    ++taken;
  }
  EXPECT_NEAR(taken, 50 + 600, 2);
  // What is larger than the bucket goes when it is full, and the debt is paid before the next.
  TokenBucket large(600);
  EXPECT_EQ(large.wait(100, 1), 0);
  large.take(100, 1);
  EXPECT_NEAR(large.wait(1, 1), 5.1, 1e-9);
  large.give_back(60);
  EXPECT_EQ(large.wait(1, 1), 0);
  EXPECT_EQ(TokenBucket(0).wait(1e9, 1), 0);
}

TEST(ChatClient, EveryTruncationOfItsCacheIsSurvived) {
  const io::TempFolder folder;
  ChatServer server(ChatServer::saying([](const std::string& words) { return words; }));
  const ChatModelOptions options = options_for(server, folder);
  { (void)ChatClient(options).ask(questions(3)); }
  const std::string whole = io::bytes_of(folder / "cache/log-00000.log");
  for (std::size_t length = 0; length < whole.size(); length += 11) {
    folder.put("cache/log-00000.log", whole.substr(0, length));
    ChatClient client(options);
    const auto answers = client.ask(questions(3));
    for (int i = 0; i < 3; ++i) {
      ASSERT_EQ(answers[static_cast<std::size_t>(i)].text, fmt::format("question {}", i));
    }
  }
}

}  // namespace
}  // namespace nativo::generate
