// The HTTP client against a server that keeps its word, and against one that does not.
#include "io/http.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <csignal>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/interrupt.h"
#include "io/loopback_server.h"

namespace nativo::io {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Peer = LoopbackServer::Peer;

HttpRequest get(const std::string& url) {
  HttpRequest request;
  request.url = url;
  request.timeouts = {.connect = 5, .total = 5, .low_speed = 0};
  return request;
}

std::string redirect(int status, const std::string& to) {
  return http_answer(status, "moved", "text/plain", "Location: " + to + "\r\n");
}

std::string gzip(const std::string& text) {
  std::string out(text.size() + 1000, '\0');
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// What one misbehaving connection makes of a request.
HttpResponse against(const std::function<void(Peer&)>& misbehaviour, HttpRequest request = {}) {
  LoopbackServer server([&](Peer& peer) {
    if (peer.read()) misbehaviour(peer);
  });
  if (request.url.empty()) request = get("");
  request.url = server.url("/x");
  HttpClient client;
  return client.fetch(std::move(request));
}

TEST(HttpClient, GetsABodyWithItsHeaders) {
  LoopbackServer server(LoopbackServer::answering([](const SeenRequest&) {
    return http_answer(200, "ciao", "text/plain", "X-Thing:  a b \r\n");
  }));
  HttpClient client({.user_agent = "nativo/1"});
  HttpRequest request = get(server.url("/a?b=c"));
  request.headers = {{"Authorization", "Bearer k", true}, {"X-Empty", ""}};
  const HttpResponse response = client.fetch(request);
  EXPECT_TRUE(response.ok()) << response.message;
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "ciao");
  EXPECT_EQ(response.header("x-thing"), "a b");
  EXPECT_EQ(response.header("content-type"), "text/plain");
  EXPECT_EQ(response.header("none"), "");
  const SeenRequest seen = server.seen().at(0);
  EXPECT_EQ(seen.method, "GET");
  EXPECT_EQ(seen.target, "/a?b=c");
  EXPECT_EQ(seen.header("authorization"), "Bearer k");
  EXPECT_EQ(seen.header("user-agent"), "nativo/1");
  EXPECT_EQ(seen.header("x-empty"), "");
  EXPECT_EQ(seen.header("accept-encoding"), "<absent>");
}

TEST(HttpClient, SendsBodiesAndStreams) {
  LoopbackServer server(
      LoopbackServer::answering([](const SeenRequest& r) { return http_answer(201, r.body); }));
  HttpClient client;
  for (const std::string method : {"POST", "PUT", "PATCH", "DELETE"}) {
    HttpRequest request = get(server.url("/"));
    request.method = method;
    request.body = std::string("a\0b", 3);
    EXPECT_EQ(client.fetch(request).body, request.body) << method;
    EXPECT_EQ(server.seen().back().method, method);
    EXPECT_EQ(server.seen().back().header("content-type"), "<absent>");
    EXPECT_EQ(server.seen().back().header("expect"), "<absent>");
  }
  const std::string big(3'000'000, 'x');
  for (const std::int64_t size : {std::ssize(big), std::ptrdiff_t{-1}}) {
    std::size_t at = 0;
    HttpRequest request = get(server.url("/"));
    request.method = "PUT";
    request.upload_size = size;
    request.upload = [&](std::span<char> buffer) {
      const std::size_t count = std::min(buffer.size(), big.size() - at);
      std::copy_n(big.begin() + static_cast<std::ptrdiff_t>(at), count, buffer.begin());
      at += count;
      return count;
    };
    EXPECT_EQ(client.fetch(request).body, big) << size;
    EXPECT_EQ(server.seen().back().header("transfer-encoding"), size < 0 ? "chunked" : "<absent>");
  }
  EXPECT_EQ(server.connections(), 1U);  // kept open from one request to the next
}

TEST(HttpClient, HeadHasHeadersAndNoBody) {
  LoopbackServer server(LoopbackServer::answering(
      [](const SeenRequest&) { return "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n"; }));
  HttpClient client;
  HttpRequest request = get(server.url("/"));
  request.method = "HEAD";
  const HttpResponse response = client.fetch(request);
  EXPECT_TRUE(response.ok()) << response.message;
  EXPECT_EQ(response.header("content-length"), "70000");
}

TEST(HttpClient, ASinkGetsGoodBodiesOnlyAndMayStop) {
  int status = 200;
  LoopbackServer server(LoopbackServer::answering(
      [&](const SeenRequest&) { return http_answer(status, std::string(200'000, 'y')); }));
  HttpClient client;
  std::string got;
  HttpRequest request = get(server.url("/"));
  request.body_limit = 10;  // not for sinks
  request.sink = [&](std::string_view bytes) {
    got += bytes;
    return true;
  };
  EXPECT_TRUE(client.fetch(request).ok());
  EXPECT_EQ(got.size(), 200'000U);

  got.clear();
  status = 404;
  const HttpResponse missing = client.fetch(request);
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.body.size(), 65536U);  // an error's words are not the file
  EXPECT_EQ(got, "");

  status = 200;
  request.sink = [](std::string_view) { return false; };
  EXPECT_EQ(client.fetch(request).failure, HttpFailure::kStopped);
  request.sink = [](std::string_view) -> bool { throw Error(ExitCode::kTryAgain, "disk full"); };
  EXPECT_THROW((void)client.fetch(request), Error);
  request.sink = {};
  request.body_limit = 1'000'000;
  EXPECT_TRUE(client.fetch(request).ok());  // the client survives all that
  EXPECT_EQ(client.unfinished(), 0U);
}

TEST(HttpClient, CollectsNoMoreThanTheLimit) {
  HttpRequest request = get("/");
  request.body_limit = 4;
  EXPECT_EQ(against([](Peer& p) { p.send(http_answer(200, "12345")); }, request).failure,
            HttpFailure::kTooLarge);
  EXPECT_EQ(against([](Peer& p) { p.send(http_answer(200, "1234")); }, request).body, "1234");
  // A small answer that grows when it is unpacked.
  request.body_limit = 1'000'000;
  request.compressed = true;
  const std::string bomb = gzip(std::string(50'000'000, '\0'));
  ASSERT_LT(bomb.size(), 100'000U);
  const auto send_bomb = [&](Peer& p) {
    p.send(http_answer(200, bomb, "text/plain", "Content-Encoding: gzip\r\n"));
  };
  EXPECT_EQ(against(send_bomb, request).failure, HttpFailure::kTooLarge);
  const HttpResponse headers = against([](Peer& p) {
    p.send("HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 10'000; ++i)
      p.send("X-" + std::to_string(i) + ": " + std::string(90, 'h') + "\r\n");
  });
  EXPECT_EQ(headers.failure, HttpFailure::kTooLarge);
}

TEST(HttpClient, UnpacksWhatItAskedToBePacked) {
  HttpRequest request = get("/");
  request.compressed = true;
  const auto packed = [](const std::string& bytes) {
    return [bytes](Peer& p) {
      p.send(http_answer(200, bytes, "text/plain", "Content-Encoding: gzip\r\n"));
    };
  };
  EXPECT_EQ(against(packed(gzip("perché")), request).body, "perché");
  EXPECT_EQ(against(packed("no gzip at all"), request).failure, HttpFailure::kProtocol);
}

TEST(HttpClient, NamesWhatWentWrong) {
  using enum HttpFailure;
  const std::vector<std::pair<HttpFailure, std::function<void(Peer&)>>> cases = {
      {kBroken, [](Peer& p) { p.close(); }},
      {kBroken, [](Peer& p) { p.reset(); }},
      {kBroken, [](Peer& p) { p.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12345"); }},
      {kBroken,
       [](Peer& p) {
         p.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12345");
         p.wait(0.05);
         p.reset();
       }},
      {kBroken,
       [](Peer& p) { p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"); }},
      {kBroken,
       [](Peer& p) {
         p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n");
       }},
      {kProtocol, [](Peer& p) { p.send("SSH-2.0-OpenSSH_9.2\r\n"); }},
      {kProtocol, [](Peer& p) { p.send(std::string("\x16\x03\x01\x00garbage", 12)); }},
      {kProtocol, [](Peer& p) { p.send("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc"); }},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const HttpResponse response = against(cases[i].second);
    EXPECT_EQ(static_cast<int>(response.failure), static_cast<int>(cases[i].first))
        << i << ": " << response.message << " status " << response.status;
    EXPECT_FALSE(response.ok());
    EXPECT_NE(response.message, "") << i;
  }
}

TEST(HttpClient, TimeoutsTotalAndLowSpeed) {
  HttpRequest request = get("/");
  request.timeouts = {.connect = 5, .total = 0.3, .low_speed = 0};
  const double before = monotonic_seconds();
  const auto drip = [](Peer& p) { p.drip("HTTP/1.1 200 OK\r\n" + std::string(10'000, 'x'), 0.02); };
  EXPECT_EQ(against(drip, request).failure, HttpFailure::kTimeout);
  EXPECT_EQ(against([](Peer& p) { p.wait(9); }, request).failure, HttpFailure::kTimeout);
  request.timeouts = {.connect = 5, .total = 60, .low_speed = 1, .low_speed_bytes = 1000};
  EXPECT_EQ(against(drip, request).failure, HttpFailure::kTimeout);
  EXPECT_LT(monotonic_seconds() - before, 10.0);
}

TEST(HttpClient, NoConnectionAndBadRequests) {
  int port = 0;
  {
    port = LoopbackServer([](Peer&) {}).port();
  }  // nobody listens there any more
  HttpClient client;
  const HttpResponse refused = client.fetch(get("http://127.0.0.1:" + std::to_string(port) + "/"));
  EXPECT_EQ(refused.failure, HttpFailure::kConnect);
  EXPECT_EQ(http_error("GET", refused).code(), ExitCode::kTryAgain);
  for (const std::string url :
       {"", "ftp://127.0.0.1/", "file:///etc/passwd", "no url", "http://"}) {
    EXPECT_EQ(client.fetch(get(url)).failure, HttpFailure::kRequest) << url;
  }
  HttpRequest split = get("http://127.0.0.1/");
  split.headers = {{"X-A", "1\r\nX-B: 2"}};
  EXPECT_EQ(client.fetch(split).failure, HttpFailure::kRequest);
  HttpRequest method = get("http://127.0.0.1/");
  method.method = "GET /x HTTP/1.1\r\n";
  EXPECT_EQ(client.fetch(method).failure, HttpFailure::kRequest);
}

TEST(HttpClient, SecretsFollowNoRedirectToAnotherServer) {
  LoopbackServer other(LoopbackServer::answering([](const SeenRequest& r) {
    return r.target == "/back" ? redirect(302, "/end") : http_answer(200, "other");
  }));
  LoopbackServer server(LoopbackServer::answering([&](const SeenRequest& r) {
    if (r.target == "/same") return redirect(301, "/end");
    if (r.target == "/other") return redirect(302, other.url("/back"));
    if (r.target == "/loop") return redirect(307, "/loop");
    if (r.target == "/file") return redirect(302, "file:///etc/passwd");
    return http_answer(200, "end");
  }));
  HttpClient client;
  const auto fetch = [&](const std::string& path, const std::string& method = "GET") {
    HttpRequest request = get(server.url(path));
    request.method = method;
    request.headers = {{"X-Api-Key", "sesame", true}, {"Accept", "x/y"}};
    request.body = "words";
    return client.fetch(request);
  };
  const HttpResponse same = fetch("/same");
  EXPECT_EQ(same.body, "end");
  EXPECT_EQ(same.url, server.url("/end"));
  EXPECT_EQ(server.seen().back().header("x-api-key"), "sesame");

  EXPECT_EQ(fetch("/other").body, "other");
  ASSERT_EQ(other.seen().size(), 2U);
  for (const SeenRequest& seen : other.seen()) {
    EXPECT_EQ(seen.header("x-api-key"), "<absent>");
    EXPECT_EQ(seen.header("accept"), "x/y");
  }
  for (const std::string path : {"/loop", "/file"}) {
    const HttpResponse response = fetch(path);
    EXPECT_EQ(response.failure, HttpFailure::kRedirect) << path;
    EXPECT_FALSE(response.ok());
  }
  // A question is not put to another server, nor turned into a GET.
  EXPECT_EQ(fetch("/other", "POST").failure, HttpFailure::kRedirect);
  EXPECT_EQ(fetch("/same", "POST").failure, HttpFailure::kRedirect);
  EXPECT_EQ(fetch("/loop", "POST").failure, HttpFailure::kRedirect);
  EXPECT_EQ(other.seen().size(), 2U);
}

TEST(HttpClient, ASinkSeesNothingOfARedirectsBody) {
  LoopbackServer server(LoopbackServer::answering([](const SeenRequest& r) {
    return r.target == "/a" ? redirect(302, "/b") : http_answer(200, "the file");
  }));
  std::string got;
  HttpRequest request = get(server.url("/a"));
  request.sink = [&](std::string_view bytes) {
    got += bytes;
    return true;
  };
  HttpClient client;
  EXPECT_TRUE(client.fetch(request).ok());
  EXPECT_EQ(got, "the file");
}

TEST(HttpClient, ManyAtOnceWithinTheBound) {
  LoopbackServer server([](Peer& peer) {
    while (const auto request = peer.read()) {
      peer.wait(0.02);
      if (!peer.send(http_answer(200, request->target))) return;
    }
  });
  HttpClient client({.max_in_flight = 4});
  std::set<std::string> answers;
  for (int i = 0; i < 40; ++i) {
    client.start(get(server.url(fmt::format("/{}", i))), [&, i](HttpResponse response) {
      EXPECT_EQ(response.body, fmt::format("/{}", i));
      answers.insert(response.body);
      if (i == 39)
        client.start(get(server.url("/more")),
                     [&](HttpResponse more) { answers.insert(more.body); });
    });
  }
  EXPECT_EQ(client.unfinished(), 40U);
  while (client.unfinished() > 0) client.poll(1);
  EXPECT_EQ(answers.size(), 41U);
  EXPECT_LE(server.most_open(), 4U);
}

TEST(HttpClient, AnAnswerTooManyIsNotTakenForTheNext) {
  // Behind each answer, at once or a moment later, comes a second one that nobody asked for.
  for (const double later : {0.0, 0.05}) {
    LoopbackServer server([&](Peer& peer) {
      while (const auto request = peer.read()) {
        peer.send(http_answer(200, request->target));
        if (later > 0 && !peer.wait(later)) return;
        if (!peer.send(http_answer(200, "stale " + request->target))) return;
      }
    });
    HttpClient client;
    for (int i = 0; i < 5; ++i) {
      const std::string path = fmt::format("/{}", i);
      EXPECT_EQ(client.fetch(get(server.url(path))).body, path) << later;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
}

TEST(HttpClient, CtrlCEndsTheWait) {
  LoopbackServer server([](Peer& peer) {
    if (!peer.read()) return;
    ::raise(SIGINT);
    peer.wait(30);
  });
  install_signal_handlers();
  HttpClient client;
  HttpRequest request = get(server.url("/"));
  request.timeouts.total = 30;
  try {
    (void)client.fetch(request);
    ADD_FAILURE() << "an interrupted request came back";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kTryAgain);
  }
  release_signal_handlers();
  EXPECT_EQ(client.unfinished(), 0U);
}

TEST(HttpError, ShowsNoSecrets) {
  LoopbackServer server(
      LoopbackServer::answering([](const SeenRequest&) { return http_answer(503, "busy"); }));
  HttpClient client;
  HttpRequest request =
      get("http://me:sesame@127.0.0.1:" + std::to_string(server.port()) + "/a?key=sesame#x");
  request.headers = {{"Authorization", "Bearer sesame", true}};
  const HttpResponse response = client.fetch(request);
  const Error error = http_error("POST", response);
  EXPECT_EQ(error.code(), ExitCode::kTryAgain);
  EXPECT_EQ(std::string(error.what()), "POST http://127.0.0.1:" + std::to_string(server.port()) +
                                           "/a?...: 503 Service Unavailable");
  HttpResponse missing = response;
  missing.status = 404;
  EXPECT_EQ(http_error("GET", missing).code(), ExitCode::kMissingInput);
  missing.status = 401;
  EXPECT_EQ(http_error("GET", missing).code(), ExitCode::kConfig);
  EXPECT_EQ(shown_url("https://u:p@h.it:8/p/q"), "https://h.it:8/p/q");
  EXPECT_EQ(shown_url("https://h.it/a@b"), "https://h.it/a@b");
  EXPECT_EQ(shown_url("https://h.it/\x1b[2J").find(0x1b), std::string::npos);
}

TEST(RetryAfter, SecondsAndDates) {
  const auto of = [](const std::string& value) {
    HttpResponse response;
    response.headers = {{"retry-after", value}};
    return retry_after(response, 784111777.0);  // Sun, 06 Nov 1994 08:49:37 GMT
  };
  EXPECT_EQ(of("120"), 120.0);
  EXPECT_EQ(of("0"), 0.0);
  EXPECT_EQ(of("Sun, 06 Nov 1994 08:50:37 GMT"), 60.0);
  EXPECT_EQ(of("Sun, 06 Nov 1994 08:40:37 GMT"), 0.0);
  for (const std::string bad : {"", "-5", "soon", "1e9", "99999999999999999999999"}) {
    EXPECT_EQ(of(bad), std::nullopt) << bad;
  }
}

TEST(ContentRange, ReadsAndRefuses) {
  const auto range = parse_content_range("bytes 5-9/10");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->first, 5U);
  EXPECT_EQ(range->last, 9U);
  EXPECT_EQ(range->total, 10U);
  EXPECT_EQ(parse_content_range("bytes 0-0/*")->total, std::nullopt);
  for (const std::string bad :
       {"", "bytes", "bytes */10", "bytes 9-5/10", "bytes 5-10/10", "bytes 5-9", "bytes -9/10",
        "items 5-9/10", "bytes 5-9/ten", "bytes 5-99999999999999999999/10"}) {
    EXPECT_FALSE(parse_content_range(bad)) << bad;
  }
  EXPECT_EQ(range_from(7).value, "bytes=7-");
}

TEST(ResumeValidator, StrongTagsAndDatesOnly) {
  const auto of = [](std::vector<HttpHeader> headers) {
    HttpResponse response;
    response.headers = std::move(headers);
    return resume_validator(response);
  };
  EXPECT_EQ(of({{"etag", "\"a\""}, {"last-modified", "yesterday"}}), "\"a\"");
  EXPECT_EQ(of({{"etag", "W/\"a\""}, {"last-modified", "yesterday"}}), "yesterday");
  EXPECT_EQ(of({{"etag", "W/\"a\""}}), "");
}

}  // namespace
}  // namespace nativo::io
