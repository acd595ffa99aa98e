// One request on its way through libcurl, redirects included. Private to io: see io/http.h.
#pragma once

#include <curl/curl.h>

#include <array>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "io/http.h"

namespace nativo::io {

/// curl_easy_setopt; a refusal is a bug of ours.
template <class Value>
void set_option(CURL* easy, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(easy, option, value);
  NATIVO_CHECK(code == CURLE_OK, curl_easy_strerror(code));
}

/// The sockets of a client's connections. Must outlive the connections.
class OpenSockets {
 public:
  /// A request is about to go out on the connection between these ports: true when it is not the
  /// first there, and bytes have come that nobody has read.
  [[nodiscard]] bool stale(int local_port, int remote_port);

  static curl_socket_t open_callback(void* user, curlsocktype purpose, curl_sockaddr* address);
  static int close_callback(void* user, curl_socket_t socket);

 private:
  struct Socket {
    int number;
    bool used = false;  ///< for a request; before the first one TLS may have had its say
  };
  std::vector<Socket> sockets_;
};

/// Redirects are followed here, not by libcurl, which knows of no secret header but Authorization
/// and Cookie.
class Transfer {
 public:
  Transfer(HttpRequest request, HttpClient::OnDone done)
      : request_(std::move(request)), done_(std::move(done)) {
    response_.url = request_.url;
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() { release(); }

  /// Makes the handle for the next hop; false when there is nothing to send (see the response).
  bool prepare(const HttpSettings& settings, OpenSockets& sockets);
  /// After the hop; true when another one is to be prepared.
  bool ended(CURLcode code);
  /// Hands the response over, or throws what a sink threw.
  void deliver();
  void release();
  [[nodiscard]] CURL* easy() const { return easy_; }

 private:
  bool check_request();
  void set_method();
  void set_headers();
  bool follow();
  bool on_header(std::string_view line);
  bool on_body(std::string_view bytes);
  void fail(HttpFailure failure, std::string message);

  static int connection_callback(void* user, char* remote, char* local, int remote_port,
                                 int local_port);
  static std::size_t header_callback(char* data, std::size_t size, std::size_t count, void* user);
  static std::size_t body_callback(char* data, std::size_t size, std::size_t count, void* user);
  static std::size_t upload_callback(char* data, std::size_t size, std::size_t count, void* user);

  HttpRequest request_;
  HttpClient::OnDone done_;
  HttpResponse response_;
  OpenSockets* sockets_ = nullptr;
  CURL* easy_ = nullptr;
  curl_slist* lines_ = nullptr;
  std::array<char, CURL_ERROR_SIZE> error_{};
  double start_ = 0.0;
  int redirects_ = 0;
  bool keep_secrets_ = true;
  bool stale_ = false;  ///< an old connection had bytes that nobody asked for: take a new one
  std::size_t header_bytes_ = 0;
  bool head_shown_ = false;   ///< to on_head
  bool redirecting_ = false;  ///< the answer that comes now only says where to go
  std::exception_ptr thrown_;
};

}  // namespace nativo::io
