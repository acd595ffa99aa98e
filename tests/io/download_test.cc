// Downloads from a server that breaks off, ignores ranges, changes the file, and lies.
#include "io/download.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <charconv>
#include <functional>

#include "base/error.h"
#include "io/faulty_disk.h"
#include "io/loopback_server.h"
#include "io/temp_folder.h"

namespace nativo::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string content(char seed, std::size_t size = 300'000) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(seed + i * 31 + i / 977);
  return bytes;
}

/// The first byte that a request asks for; 0 without a range.
std::size_t first_of(const SeenRequest& request) {
  const std::string range = request.header("range");
  std::size_t first = 0;
  if (range.starts_with("bytes=")) {
    std::from_chars(range.data() + 6, range.data() + range.size(), first);
  }
  return first;
}

std::string head(int status, std::size_t length, const std::string& more) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: " + std::to_string(length) +
         "\r\n" + more + "\r\n";
}

/// A server as it should be: ranges, and If-Range by ETag.
std::string whole_or_rest(const SeenRequest& request, const std::string& bytes,
                          const std::string& etag) {
  const std::size_t first = first_of(request);
  const std::string tag = "ETag: " + etag + "\r\n";
  if (first == 0 || request.header("if-range") != etag) {
    return head(200, bytes.size(), tag) + bytes;
  }
  if (first >= bytes.size()) return head(416, 0, "");
  return head(206, bytes.size() - first,
              tag + "Content-Range: bytes " + std::to_string(first) + "-" +
                  std::to_string(bytes.size() - 1) + "/" + std::to_string(bytes.size()) + "\r\n") +
         bytes.substr(first);
}

DownloadOptions quick(int tries = 4) { return {.tries = tries, .wait_seconds = 0.001}; }

/// Error code and message of a download from `server`; the code 0 when there is none.
struct Outcome {
  ExitCode code = ExitCode::kOk;
  std::string message;
};

Outcome get(const LoopbackServer& server, const fs::path& path,
            const DownloadOptions& options = quick(), Disk& disk = posix_disk()) {
  HttpClient client;
  try {
    download(client, server.url("/file"), path, "file", options, disk);
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {};
}

TEST(Download, AFileArrivesWholeAndAlone) {
  const TempFolder folder;
  const std::string bytes = content('a');
  LoopbackServer server(LoopbackServer::answering(
      [&](const SeenRequest& request) { return whole_or_rest(request, bytes, "\"v1\""); }));
  EXPECT_EQ(get(server, folder / "f").code, ExitCode::kOk);
  EXPECT_EQ(bytes_of(folder / "f"), bytes);
  EXPECT_THAT(folder.names(), ElementsAre("f"));
}

TEST(Download, GoesOnWhereTheServerBrokeOff) {
  const TempFolder folder;
  const std::string bytes = content('b');
  LoopbackServer server([&](LoopbackServer::Peer& peer) {
    while (const auto request = peer.read()) {
      const std::string answer = whole_or_rest(*request, bytes, "\"v1\"");
      const std::size_t body = answer.find("\r\n\r\n") + 4;
      peer.send(answer.substr(0, body + std::min<std::size_t>(70'000, answer.size() - body)));
      if (answer.size() - body > 70'000) return peer.close();
    }
  });
  EXPECT_EQ(get(server, folder / "f", quick(2)).code, ExitCode::kOk);
  EXPECT_EQ(bytes_of(folder / "f"), bytes);
  const auto seen = server.seen();
  ASSERT_EQ(seen.size(), 5U);
  EXPECT_EQ(seen[0].header("range"), "<absent>");
  EXPECT_EQ(seen[1].header("range"), "bytes=70000-");
  EXPECT_EQ(seen[1].header("if-range"), "\"v1\"");
}

TEST(Download, GoesOnInAnotherRun) {
  const TempFolder folder;
  const std::string bytes = content('c');
  {
    LoopbackServer broken([&](LoopbackServer::Peer& peer) {
      while (const auto request = peer.read()) {
        peer.send(whole_or_rest(*request, bytes, "\"v1\"").substr(0, 50'000));
        return peer.reset();
      }
    });
    EXPECT_EQ(get(broken, folder / "f", quick(1)).code, ExitCode::kTryAgain);
  }
  ASSERT_THAT(folder.names(), ElementsAre("f.part", "f.part.json"));
  const auto have = static_cast<std::size_t>(fs::file_size(folder / "f.part"));
  EXPECT_GT(have, 0U);
  LoopbackServer server(LoopbackServer::answering(
      [&](const SeenRequest& request) { return whole_or_rest(request, bytes, "\"v1\""); }));
  // The URL tells one file from another, so the server of the first try must seem to be this one.
  const std::string state = bytes_of(folder / "f.part.json");
  const std::size_t at = state.find("http://");
  folder.put("f.part.json",
             state.substr(0, at) + server.url("/file") + state.substr(state.find('"', at)));
  EXPECT_EQ(get(server, folder / "f").code, ExitCode::kOk);
  EXPECT_EQ(bytes_of(folder / "f"), bytes);
  ASSERT_EQ(server.seen().size(), 1U);
  EXPECT_EQ(server.seen()[0].header("range"), "bytes=" + std::to_string(have) + "-");
  EXPECT_THAT(folder.names(), ElementsAre("f"));
}

TEST(Download, WhatBelongsToAnotherUrlOrIsDamagedIsNotUsed) {
  const std::string bytes = content('d');
  LoopbackServer server(LoopbackServer::answering(
      [&](const SeenRequest& request) { return whole_or_rest(request, bytes, "\"v1\""); }));
  for (const std::string& state :
       {std::string(R"({"url": "http://elsewhere/", "validator": "\"v1\"", "bytes": 9})"),
        std::string("{"), std::string("[]"), std::string("{}"),
        R"({"url": ")" + server.url("/file") + R"(", "validator": "", "bytes": 3})"}) {
    const TempFolder folder;
    folder.put("f.part", "xyz");
    folder.put("f.part.json", state);
    EXPECT_EQ(get(server, folder / "f").code, ExitCode::kOk);
    EXPECT_EQ(bytes_of(folder / "f"), bytes) << state;
  }
  for (const SeenRequest& request : server.seen()) EXPECT_EQ(request.header("range"), "<absent>");
}

TEST(Download, AFileThatChangesBetweenTriesIsNotSewnTogether) {
  const TempFolder folder;
  const std::string before = content('e');
  const std::string after = content('f', 200'000);
  int tries = 0;
  LoopbackServer server([&](LoopbackServer::Peer& peer) {
    while (const auto request = peer.read()) {
      if (tries++ == 0) {
        peer.send(whole_or_rest(*request, before, "\"v1\"").substr(0, 90'000));
        return peer.close();
      }
      peer.send(whole_or_rest(*request, after, "\"v2\""));
    }
  });
  EXPECT_EQ(get(server, folder / "f").code, ExitCode::kOk);
  EXPECT_EQ(bytes_of(folder / "f"), after);
}

TEST(Download, APartOfAnotherVersionIsRefused) {
  const TempFolder folder;
  const std::string before = content('g');
  const std::string after = content('h');
  int tries = 0;
  LoopbackServer server([&](LoopbackServer::Peer& peer) {
    while (auto request = peer.read()) {
      if (tries++ == 0) {
        peer.send(whole_or_rest(*request, before, "\"v1\"").substr(0, 90'000));
        return peer.close();
      }
      // Ignores If-Range: sends the rest of the new version.
      const std::string text = whole_or_rest(*request, after, request->header("if-range"));
      const std::size_t tag = text.find("\"v1\"");
      peer.send(tag < 200 ? std::string(text).replace(tag, 4, "\"v2\"") : text);
    }
  });
  EXPECT_EQ(get(server, folder / "f").code, ExitCode::kOk);
  EXPECT_EQ(bytes_of(folder / "f"), after);
}

TEST(Download, ServersWithoutRangesOrValidatorsAreAskedForAll) {
  for (const std::string tag : {"", "ETag: W/\"weak\"\r\n", "ETag: \"v1\"\r\n"}) {
    const TempFolder folder;
    const std::string bytes = content('i');
    int tries = 0;
    LoopbackServer server([&](LoopbackServer::Peer& peer) {
      while (const auto request = peer.read()) {
        const std::string answer = head(200, bytes.size(), tag) + bytes;  // whatever is asked
        if (tries++ < 2) {
          peer.send(answer.substr(0, 120'000));
          return peer.close();
        }
        peer.send(answer);
      }
    });
    EXPECT_EQ(get(server, folder / "f").code, ExitCode::kOk) << tag;
    EXPECT_EQ(bytes_of(folder / "f"), bytes) << tag;
  }
}

TEST(Download, AlwaysBrokenAtTheSamePlaceEndsOnceTriesAreUsedUp) {
  const TempFolder folder;
  const std::string bytes = content('j');
  LoopbackServer server([&](LoopbackServer::Peer& peer) {
    while (peer.read()) {
      peer.send((head(200, bytes.size(), "") + bytes).substr(0, 100'000));
      return peer.close();
    }
  });
  EXPECT_EQ(get(server, folder / "f", quick(3)).code, ExitCode::kTryAgain);
  EXPECT_LE(server.seen().size(), 4U);
  EXPECT_FALSE(fs::exists(folder / "f"));
}

TEST(Download, AnswersThatWillNotChangeEndAtOnce) {
  const TempFolder folder;
  for (const auto& [status, code] :
       {std::pair{404, ExitCode::kMissingInput}, std::pair{403, ExitCode::kConfig},
        std::pair{400, ExitCode::kIo}}) {
    LoopbackServer server(LoopbackServer::answering(
        [status = status](const SeenRequest&) { return http_answer(status, "no"); }));
    const Outcome outcome = get(server, folder / "f");
    EXPECT_EQ(outcome.code, code);
    EXPECT_THAT(outcome.message, HasSubstr(std::to_string(status)));
    EXPECT_EQ(server.seen().size(), 1U);
  }
  EXPECT_TRUE(folder.names().empty());
}

TEST(Download, ABusyServerIsAskedAgain) {
  const TempFolder folder;
  int tries = 0;
  LoopbackServer server(LoopbackServer::answering([&](const SeenRequest&) {
    return ++tries < 4 ? http_answer(tries == 2 ? 503 : 500, "later") : http_answer(200, "now");
  }));
  EXPECT_EQ(get(server, folder / "f").code, ExitCode::kOk);
  EXPECT_EQ(bytes_of(folder / "f"), "now");
  tries = -100;
  EXPECT_EQ(get(server, folder / "g", quick(3)).code, ExitCode::kTryAgain);
}

TEST(Download, LiesAboutLengthAreFound) {
  const TempFolder folder;
  // More promised than sent, again and again.
  LoopbackServer longer([](LoopbackServer::Peer& peer) {
    while (peer.read()) {
      peer.send(head(200, 1000, "ETag: \"v\"\r\n") + "short");
      return peer.close();
    }
  });
  EXPECT_EQ(get(longer, folder / "f", quick(3)).code, ExitCode::kTryAgain);
  // A total that the parts never reach.
  LoopbackServer total([](LoopbackServer::Peer& peer) {
    while (const auto request = peer.read()) {
      const std::size_t first = first_of(*request);
      if (first == 0) {
        peer.send(head(200, 1000, "ETag: \"v\"\r\n") + std::string(600, 'x'));
        return peer.close();
      }
      peer.send(head(206, 400, "ETag: \"v\"\r\nContent-Range: bytes 600-999/2000\r\n") +
                std::string(400, 'x'));
    }
  });
  EXPECT_NE(get(total, folder / "g", quick(4)).code, ExitCode::kOk);
  EXPECT_FALSE(fs::exists(folder / "g"));
  // Another place than was asked for, or none.
  for (const std::string range :
       {"Content-Range: bytes 0-399/1000\r\n", "", "Content-Range: bytes x\r\n"}) {
    LoopbackServer wrong([&](LoopbackServer::Peer& peer) {
      while (const auto request = peer.read()) {
        if (first_of(*request) == 0) {
          peer.send(head(200, 1000, "ETag: \"v\"\r\n") + std::string(600, 'x'));
          return peer.close();
        }
        peer.send(head(206, 400, "ETag: \"v\"\r\n" + range) + std::string(400, 'y'));
      }
    });
    EXPECT_NE(get(wrong, folder / "h", quick(4)).code, ExitCode::kOk);
    EXPECT_FALSE(fs::exists(folder / "h"));
  }
  // Nothing at all.
  LoopbackServer empty(
      LoopbackServer::answering([](const SeenRequest&) { return http_answer(200, ""); }));
  EXPECT_EQ(get(empty, folder / "e", quick(2)).code, ExitCode::kData);
}

TEST(Download, MoreThanTheLimitIsNotWritten) {
  const TempFolder folder;
  DownloadOptions options = quick();
  options.limit = 1000;
  LoopbackServer honest(LoopbackServer::answering(
      [](const SeenRequest&) { return http_answer(200, std::string(1001, 'x')); }));
  EXPECT_THAT(get(honest, folder / "f", options).message, HasSubstr("more than 1000 B"));
  LoopbackServer silent([](LoopbackServer::Peer& peer) {
    while (peer.read()) {
      peer.send("HTTP/1.0 200 X\r\n\r\n" + std::string(200'000, 'x'));
      return peer.close();
    }
  });
  EXPECT_EQ(get(silent, folder / "f", options).code, ExitCode::kData);
  EXPECT_FALSE(fs::exists(folder / "f"));
}

TEST(Download, AFullDiskKeepsWhatWasThere) {
  const TempFolder folder;
  folder.put("f", "old");
  const std::string bytes = content('k', 50'000);
  LoopbackServer server(LoopbackServer::answering(
      [&](const SeenRequest& request) { return whole_or_rest(request, bytes, "\"v1\""); }));
  FaultyDisk counting;
  EXPECT_EQ(get(server, folder / "f", quick(), counting).code, ExitCode::kOk);
  EXPECT_EQ(bytes_of(folder / "f"), bytes);
  for (int call = 1; call <= counting.calls(); ++call) {
    folder.put("f", "old");
    FaultyDisk disk({call, ENOSPC, true, true});
    EXPECT_EQ(get(server, folder / "f", quick(), disk).code, ExitCode::kTryAgain) << call;
    const std::string now = bytes_of(folder / "f");
    EXPECT_TRUE(now == "old" || now == bytes) << call;
    // Space again: it is finished, from what is there or anew.
    EXPECT_EQ(get(server, folder / "f").code, ExitCode::kOk) << call;
    EXPECT_EQ(bytes_of(folder / "f"), bytes) << call;
    EXPECT_THAT(folder.names(), testing::Contains("f"));
  }
}

}  // namespace
}  // namespace nativo::io
