#include "io/http_transfer.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/strings.h"

namespace nativo::io {
namespace {

constexpr std::size_t kHeaderBytes = std::size_t{256} << 10;
constexpr std::uint64_t kErrorBodyBytes = std::uint64_t{64} << 10;
constexpr std::array<std::string_view, 6> kMethods = {"GET", "HEAD",   "POST",
                                                      "PUT", "DELETE", "PATCH"};

std::string lower_ascii(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

/// Scheme, host and port, as far as secrets are concerned.
struct Origin {
  std::string scheme;
  std::string host;
  std::string port;
  bool operator==(const Origin&) const = default;
};

std::optional<Origin> origin_of(const std::string& url) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), &curl_url_cleanup);
  if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) {
    return std::nullopt;
  }
  const auto part = [&](CURLUPart which) {
    char* text = nullptr;
    std::string value;
    if (curl_url_get(parsed.get(), which, &text, CURLU_DEFAULT_PORT) == CURLUE_OK) value = text;
    curl_free(text);
    return lower_ascii(value);
  };
  Origin origin{part(CURLUPART_SCHEME), part(CURLUPART_HOST), part(CURLUPART_PORT)};
  if (origin.scheme != "http" && origin.scheme != "https") return std::nullopt;
  return origin;
}

HttpFailure failure_of(CURLcode code) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return HttpFailure::kTimeout;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
      return HttpFailure::kConnect;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return HttpFailure::kBroken;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
      return HttpFailure::kTls;
    case CURLE_URL_MALFORMAT:
      return HttpFailure::kRequest;
    default:
      return HttpFailure::kProtocol;
  }
}

/// The port of a socket's own (getsockname) or other (getpeername) end; 0 when it has none.
int port_of(int socket, int (*name)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage address = {};
  socklen_t size = sizeof address;
  if (name(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port);
  if (address.ss_family != AF_INET6) return 0;
  return ntohs(reinterpret_cast<sockaddr_in6&>(address).sin6_port);
}

long milliseconds(double seconds) {
  return std::max(1L, static_cast<long>(std::ceil(std::min(seconds, 1e6) * 1000.0)));
}

}  // namespace

curl_socket_t OpenSockets::open_callback(void* user, curlsocktype /*purpose*/,
                                         curl_sockaddr* address) {
  const int made = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (made >= 0) static_cast<OpenSockets*>(user)->sockets_.push_back({.number = made});
  return made;
}

int OpenSockets::close_callback(void* user, curl_socket_t socket) {
  std::erase_if(static_cast<OpenSockets*>(user)->sockets_,
                [socket](const Socket& each) { return each.number == socket; });
  return ::close(socket);
}

bool OpenSockets::stale(int local_port, int remote_port) {
  for (Socket& socket : sockets_) {
    if (port_of(socket.number, &::getsockname) != local_port ||
        port_of(socket.number, &::getpeername) != remote_port) {
      continue;
    }
    char byte = 0;
    if (std::exchange(socket.used, true) &&
        ::recv(socket.number, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0) {
      return true;
    }
  }
  return false;
}

void Transfer::release() {
  if (easy_ != nullptr) curl_easy_cleanup(easy_);
  curl_slist_free_all(lines_);
  easy_ = nullptr;
  lines_ = nullptr;
}

void Transfer::fail(HttpFailure failure, std::string message) {
  if (response_.failure != HttpFailure::kNone) return;
  response_.failure = failure;
  response_.message = std::move(message);
}

bool Transfer::check_request() {
  if (std::ranges::find(kMethods, request_.method) == kMethods.end()) {
    fail(HttpFailure::kRequest, fmt::format("unknown method {}", printable(request_.method)));
    return false;
  }
  if (!origin_of(request_.url)) {
    fail(HttpFailure::kRequest, "no http:// or https:// URL");
    return false;
  }
  for (const HttpHeader& header : request_.headers) {
    const bool clean = !header.name.empty() &&
                       (header.name + header.value).find_first_of(std::string_view("\r\n\0", 3)) ==
                           std::string::npos;
    if (!clean) {
      fail(HttpFailure::kRequest,
           fmt::format("header {}: a line break or a zero byte", printable(header.name)));
      return false;
    }
  }
  return true;
}

void Transfer::set_method() {
  const std::string& method = request_.method;
  if (method == "HEAD") {
    set_option(easy_, CURLOPT_NOBODY, 1L);
  } else if (method == "GET") {
    set_option(easy_, CURLOPT_HTTPGET, 1L);
  } else if (request_.upload) {
    set_option(easy_, CURLOPT_UPLOAD, 1L);
    set_option(easy_, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request_.upload_size));
    set_option(easy_, CURLOPT_READFUNCTION, &Transfer::upload_callback);
    set_option(easy_, CURLOPT_READDATA, this);
    set_option(easy_, CURLOPT_CUSTOMREQUEST, method.c_str());
  } else {
    set_option(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    set_option(easy_, CURLOPT_POSTFIELDS, request_.body.data());
    set_option(easy_, CURLOPT_CUSTOMREQUEST, method.c_str());
  }
}

void Transfer::set_headers() {
  const auto add = [&](const std::string& line) {
    curl_slist* const longer = curl_slist_append(lines_, line.c_str());
    NATIVO_CHECK(longer != nullptr, "out of memory");
    lines_ = longer;
  };
  add("Expect:");  // ask at once; do not wait for permission
  bool has_type = false;
  for (const HttpHeader& header : request_.headers) {
    if (header.secret && !keep_secrets_) continue;
    // curl's spelling of a header without a value.
    add(header.value.empty() ? header.name + ";" : header.name + ": " + header.value);
    has_type = has_type || lower_ascii(header.name) == "content-type";
  }
  if (!has_type) add("Content-Type:");  // not curl's own idea of a form
  set_option(easy_, CURLOPT_HTTPHEADER, lines_);
}

bool Transfer::prepare(const HttpSettings& settings, OpenSockets& sockets) {
  sockets_ = &sockets;
  const double now = monotonic_seconds();
  if (start_ == 0.0) start_ = now;
  release();
  if (!check_request()) return false;
  const HttpTimeouts& timeouts = request_.timeouts;
  const double left = timeouts.total > 0 ? timeouts.total - (now - start_) : 0.0;
  if (timeouts.total > 0 && left <= 0) {
    fail(HttpFailure::kTimeout, fmt::format("no answer within {}", human_duration(timeouts.total)));
    return false;
  }
  easy_ = curl_easy_init();
  NATIVO_CHECK(easy_ != nullptr, "out of memory");
  header_bytes_ = 0;
  head_shown_ = false;
  redirecting_ = false;
  error_[0] = '\0';
  response_.headers.clear();
  response_.body.clear();
  response_.status = 0;
  response_.url = request_.url;
  set_option(easy_, CURLOPT_PRIVATE, this);
  set_option(easy_, CURLOPT_ERRORBUFFER, error_.data());
  set_option(easy_, CURLOPT_NOSIGNAL, 1L);
  set_option(easy_, CURLOPT_URL, request_.url.c_str());
  set_option(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  // One answer a connection at a time, which is what on_connection() relies on.
  set_option(easy_, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  set_option(easy_, CURLOPT_FRESH_CONNECT, stale_ || !request_.reuse_connection ? 1L : 0L);
  set_option(easy_, CURLOPT_FORBID_REUSE, request_.reuse_connection ? 0L : 1L);
  set_option(easy_, CURLOPT_OPENSOCKETFUNCTION, &OpenSockets::open_callback);
  set_option(easy_, CURLOPT_OPENSOCKETDATA, sockets_);
  set_option(easy_, CURLOPT_CLOSESOCKETFUNCTION, &OpenSockets::close_callback);
  set_option(easy_, CURLOPT_CLOSESOCKETDATA, sockets_);
  set_option(easy_, CURLOPT_PREREQFUNCTION, &Transfer::connection_callback);
  set_option(easy_, CURLOPT_PREREQDATA, this);
  set_option(easy_, CURLOPT_FOLLOWLOCATION, 0L);
  set_option(easy_, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set_option(easy_, CURLOPT_USERAGENT, settings.user_agent.c_str());
  if (!settings.ca_file.empty()) set_option(easy_, CURLOPT_CAINFO, settings.ca_file.c_str());
  if (request_.compressed) set_option(easy_, CURLOPT_ACCEPT_ENCODING, "");
  set_option(easy_, CURLOPT_HEADERFUNCTION, &Transfer::header_callback);
  set_option(easy_, CURLOPT_HEADERDATA, this);
  set_option(easy_, CURLOPT_WRITEFUNCTION, &Transfer::body_callback);
  set_option(easy_, CURLOPT_WRITEDATA, this);
  if (timeouts.connect > 0)
    set_option(easy_, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(timeouts.connect));
  if (left > 0) set_option(easy_, CURLOPT_TIMEOUT_MS, milliseconds(left));
  if (timeouts.low_speed > 0) {
    set_option(easy_, CURLOPT_LOW_SPEED_TIME, std::max(1L, std::lround(timeouts.low_speed)));
    set_option(easy_, CURLOPT_LOW_SPEED_LIMIT, std::max(1L, std::lround(timeouts.low_speed_bytes)));
  }
  set_method();
  set_headers();
  return true;
}

/// Bytes that wait on a connection before anything was asked are another question's answer.
int Transfer::connection_callback(void* user, char* /*remote*/, char* /*local*/, int remote_port,
                                  int local_port) {
  Transfer& transfer = *static_cast<Transfer*>(user);
  const bool stale = transfer.sockets_->stale(local_port, remote_port);
  if (transfer.stale_) return CURL_PREREQFUNC_OK;  // this connection is new
  transfer.stale_ = stale;
  return stale ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

std::size_t Transfer::header_callback(char* data, std::size_t size, std::size_t count, void* user) {
  const std::size_t bytes = size * count;
  return static_cast<Transfer*>(user)->on_header({data, bytes}) ? bytes : 0;
}

std::size_t Transfer::body_callback(char* data, std::size_t size, std::size_t count, void* user) {
  const std::size_t bytes = size * count;
  return static_cast<Transfer*>(user)->on_body({data, bytes}) ? bytes : CURL_WRITEFUNC_ERROR;
}

std::size_t Transfer::upload_callback(char* data, std::size_t size, std::size_t count, void* user) {
  Transfer& transfer = *static_cast<Transfer*>(user);
  try {
    return std::min(transfer.request_.upload({data, size * count}), size * count);
  } catch (...) {
    transfer.thrown_ = std::current_exception();
    return CURL_READFUNC_ABORT;
  }
}

bool Transfer::on_header(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > kHeaderBytes) {
    fail(HttpFailure::kTooLarge, fmt::format("more than {} of headers", human_bytes(kHeaderBytes)));
    return false;
  }
  if (line.starts_with("HTTP/")) {  // after "100 Continue" another one follows
    response_.headers.clear();
    return true;
  }
  line = trim(line);
  if (line.empty()) {
    long status = 0;
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    response_.status = static_cast<int>(status);
    constexpr std::array kMoved = {301, 302, 303, 307, 308};
    redirecting_ = std::ranges::find(kMoved, response_.status) != kMoved.end() &&
                   !response_.header("location").empty();
    return true;
  }
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    response_.headers.push_back(
        {lower_ascii(trim(line.substr(0, colon))), std::string(trim(line.substr(colon + 1)))});
  }
  return true;
}

bool Transfer::on_body(std::string_view bytes) {
  if (redirecting_) return true;
  if (request_.sink && response_.status >= 200 && response_.status < 300) {
    try {
      const bool wanted = head_shown_ || !request_.on_head || request_.on_head(response_);
      head_shown_ = true;
      if (wanted && request_.sink(bytes)) return true;
      fail(HttpFailure::kStopped, "ended on this side");
    } catch (...) {
      thrown_ = std::current_exception();
    }
    return false;
  }
  if (request_.sink) {  // an error's words
    response_.body.append(bytes.substr(0, kErrorBodyBytes - response_.body.size()));
    return true;
  }
  if (bytes.size() > request_.body_limit - response_.body.size()) {
    fail(HttpFailure::kTooLarge,
         fmt::format("an answer of more than {}",
                     human_bytes(static_cast<double>(request_.body_limit))));
    return false;
  }
  response_.body.append(bytes);
  return true;
}

bool Transfer::ended(CURLcode code) {
  if (thrown_ || response_.failure != HttpFailure::kNone) return false;
  if (code == CURLE_ABORTED_BY_CALLBACK && stale_) return true;
  if (code != CURLE_OK) {
    const std::string_view words =
        error_[0] != '\0' ? std::string_view(error_.data()) : curl_easy_strerror(code);
    fail(failure_of(code), printable(trim(words)));
    return false;
  }
  return redirecting_ && follow();
}

/// What a redirect may do: a GET or HEAD goes anywhere but from https to http, its secrets only
/// where they were going; anything else stays with its server.
bool Transfer::follow() {
  char* location = nullptr;
  curl_easy_getinfo(easy_, CURLINFO_REDIRECT_URL, &location);
  const std::string next = location == nullptr ? std::string() : location;
  const auto refuse = [&](std::string_view why) {
    fail(HttpFailure::kRedirect,
         fmt::format("{}: the server sends us to {}", why, shown_url(next)));
    return false;
  };
  const std::optional<Origin> from = origin_of(request_.url);
  const std::optional<Origin> to = origin_of(next);
  if (!from || !to) return refuse("a redirect to what is no http:// or https:// URL");
  if (from->scheme == "https" && to->scheme != "https") {
    return refuse("a redirect from https to http is not followed");
  }
  if (redirects_ >= request_.max_redirects) {
    return refuse(fmt::format("more than {} redirects", request_.max_redirects));
  }
  const bool reads = request_.method == "GET" || request_.method == "HEAD";
  if (!reads && (request_.upload || response_.status < 307 || *from != *to)) {
    return refuse(fmt::format("a redirected {} is not sent again", request_.method));
  }
  keep_secrets_ = keep_secrets_ && *from == *to;
  request_.url = next;
  ++redirects_;
  stale_ = false;
  return true;
}

void Transfer::deliver() {
  response_.seconds = monotonic_seconds() - start_;
  if (thrown_) std::rethrow_exception(thrown_);
  if (done_) done_(std::move(response_));
}

}  // namespace nativo::io
