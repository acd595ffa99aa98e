// HTTP requests over libcurl: one and wait, or many at once on one thread. Not here: what is asked
// of whom, when to ask again.
// Rules: TLS certificates are checked; a secret header goes to the host it was meant for and to no
// other; no secret is ever part of a message. Proxies come from the environment (http_proxy,
// https_proxy, all_proxy, no_proxy), as for curl.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace nativo::io {

struct HttpHeader {
  std::string name;
  std::string value;
  bool secret = false;  ///< dropped when a redirect leads to another scheme, host or port
};

/// Seconds; 0 = no limit.
struct HttpTimeouts {
  double connect = 15;
  double total = 0;       ///< from the start, redirects included
  double low_speed = 60;  ///< so long below low_speed_bytes a second ends the request
  double low_speed_bytes = 16;
};

struct HttpResponse;

struct HttpRequest {
  std::string method = "GET";  ///< GET, HEAD, POST, PUT, DELETE, PATCH
  std::string url;             ///< http:// or https://
  std::vector<HttpHeader> headers{};
  std::string body{};  ///< sent with any method but GET and HEAD

  /// In place of `body`: fills the buffer, returns how much; 0 ends it. `upload_size` < 0: unknown
  /// (sent in chunks). Such a request follows no redirect.
  std::function<std::size_t(std::span<char>)> upload{};
  std::int64_t upload_size = -1;

  /// Asked before the sink gets its first piece, with status and headers; false ends the request
  /// (kStopped). What it throws comes out as what the sink throws does.
  std::function<bool(const HttpResponse&)> on_head{};

  /// Gets the body of a 2xx answer piece by piece, decoded; false ends the request (kStopped). What
  /// it throws comes out of fetch() or poll(). Without it the body is collected in
  /// HttpResponse::body.
  std::function<bool(std::string_view)> sink{};
  /// Most bytes of a collected body after decoding; more is kTooLarge. A sink knows no limit. Of an
  /// answer that is not 2xx and goes beside the sink, the first 64 KiB are kept.
  std::uint64_t body_limit = std::uint64_t{64} << 20;

  bool compressed = false;  ///< offer gzip, deflate, ...; never together with a range
  /// Over HTTP/1.1 nothing but their order says which question an answer belongs to. A connection
  /// on which bytes wait unasked is not used again; false = never use one for a second request.
  bool reuse_connection = true;
  int max_redirects = 5;  ///< http may become https, https never http
  HttpTimeouts timeouts{};
};

/// Why there is no whole answer.
enum class HttpFailure {
  kNone,      ///< there is one; see its status
  kTimeout,   ///< connect, total or low-speed
  kConnect,   ///< no connection: nothing was sent
  kBroken,    ///< the connection ended before the answer did
  kProtocol,  ///< what came is not HTTP, or not what its headers say
  kTls,       ///< the certificate or the handshake
  kTooLarge,  ///< body_limit, or too many headers
  kRedirect,  ///< too many of them, or one that must not be followed
  kRequest,   ///< the URL or the method cannot be used
  kStopped,   ///< the sink said so
};

struct HttpResponse {
  HttpFailure failure = HttpFailure::kNone;
  std::string message;              ///< about the failure, for people; no secrets
  int status = 0;                   ///< 0 when none came
  std::vector<HttpHeader> headers;  ///< of the last answer; names in lower case
  std::string body;
  std::string url;       ///< the last one asked
  double seconds = 0.0;  ///< from the start to the end

  [[nodiscard]] bool ok() const {
    return failure == HttpFailure::kNone && status >= 200 && status < 300;
  }
  /// The first header of this name (lower case), or "".
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

struct HttpSettings {
  std::size_t max_in_flight = 16;  ///< further requests wait for their turn
  std::string user_agent = "nativo";
  std::string ca_file{};  ///< certificates to trust in place of the system's; "" = the system's
};

/// Keeps connections open between requests. One thread drives it.
class HttpClient {
 public:
  explicit HttpClient(HttpSettings settings = {});
  ~HttpClient();  ///< ends what is in flight; its callbacks are not called
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// One request, to its end. Failures of the network are in the response; throws what the sink
  /// throws, and Error(kTryAgain) after a signal (base/interrupt.h).
  [[nodiscard]] HttpResponse fetch(HttpRequest request);

  /// Called on the thread that polls. It may start further requests.
  using OnDone = std::function<void(HttpResponse)>;
  /// Queues a request; poll() does the work. The total timeout runs from when it is sent.
  void start(HttpRequest request, OnDone done);
  /// Works for up to `seconds`, or until a request ends; the number that ended. Throws what a sink
  /// or a callback throws (the requests that are left go on at the next call).
  std::size_t poll(double seconds);
  /// Requests that have not ended, those in the queue included.
  [[nodiscard]] std::size_t unfinished() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// An Error for a response that is not what was wanted: "GET https://host/path: 404 Not Found".
/// Exit code kTryAgain for what may pass (no connection, timeout, 429, 5xx), kMissingInput for 404
/// and 410, kConfig for 401 and 403, else kIo.
[[nodiscard]] Error http_error(std::string_view method, const HttpResponse& response);

/// A URL for messages: user, password and query are hidden, the rest made printable.
[[nodiscard]] std::string shown_url(std::string_view url);

/// What the Retry-After header asks for, in seconds from `now` (unix_seconds()); never negative.
[[nodiscard]] std::optional<double> retry_after(const HttpResponse& response, double now);

/// "Range: bytes=FIRST-": the rest of a file of which FIRST bytes are here.
[[nodiscard]] HttpHeader range_from(std::uint64_t first);

/// "Content-Range: bytes FIRST-LAST/TOTAL" (RFC 9110 section 14.4).
struct ContentRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;              ///< inclusive
  std::optional<std::uint64_t> total;  ///< absent for "*"
};
/// Nothing when it is no such range, or one that makes no sense.
[[nodiscard]] std::optional<ContentRange> parse_content_range(std::string_view value);

/// What If-Range wants, so that a resumed download is never sewn together from two versions: the
/// ETag when it is a strong one, else Last-Modified, else "" (start from the beginning).
[[nodiscard]] std::string resume_validator(const HttpResponse& response);

}  // namespace nativo::io
