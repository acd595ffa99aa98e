// A server on 127.0.0.1 that says exactly the bytes a test wants, and misbehaves on demand: drips,
// resets, lies about lengths. Every connection has a thread of its own.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace nativo::io {

struct SeenRequest {
  std::string method;
  std::string target;
  std::string head;  ///< request line and headers, as they came
  std::string body;

  /// A header's value, or "<absent>".
  [[nodiscard]] std::string header(std::string_view name) const {
    const std::string lines = lower(head);
    const std::size_t at = lines.find("\r\n" + lower(name) + ":");
    if (at == std::string::npos) return "<absent>";
    std::size_t begin = at + name.size() + 3;
    while (head[begin] == ' ') ++begin;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
  static std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return result;
  }
};

/// Status line, Content-Length and body in one string.
inline std::string http_answer(int status, std::string_view body,
                               std::string_view type = "application/json",
                               std::string_view more_headers = {}) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: " + std::string(type) +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + std::string(more_headers) +
         "\r\n" + std::string(body);
}

class LoopbackServer {
 public:
  class Peer {
   public:
    Peer(LoopbackServer& server, int socket) : server_(server), socket_(socket) {}
    ~Peer() { close(); }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    [[nodiscard]] int socket() const { return socket_; }

    /// The next request of this connection; nothing when the client has gone.
    std::optional<SeenRequest> read() {
      SeenRequest request;
      std::size_t end = 0;
      while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
        if (!receive()) return std::nullopt;
      }
      request.head = buffer_.substr(0, end + 2);
      buffer_.erase(0, end + 4);
      const std::size_t space = request.head.find(' ');
      request.method = request.head.substr(0, space);
      request.target =
          request.head.substr(space + 1, request.head.find(' ', space + 1) - space - 1);
      if (request.header("transfer-encoding") == "chunked") {
        read_chunks(request.body);
      } else if (request.header("content-length") != "<absent>") {
        const std::size_t length = std::stoul(request.header("content-length"));
        while (buffer_.size() < length && receive()) {
        }
        request.body = buffer_.substr(0, length);
        buffer_.erase(0, length);
      }
      server_.note(request);
      return request;
    }

    /// False when the client has gone.
    bool send(std::string_view bytes) {
      while (!bytes.empty()) {
        const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      }
      return true;
    }
    /// One byte at a time, so many seconds apart; until the client or the test has gone.
    void drip(std::string_view bytes, double seconds) {
      for (const char byte : bytes) {
        if (!send({&byte, 1}) || !wait(seconds)) return;
      }
    }
    /// False when the server is being stopped.
    bool wait(double seconds) {
      std::unique_lock lock(server_.mutex_);
      return !server_.stopped_.wait_for(lock, std::chrono::duration<double>(seconds),
                                        [this] { return server_.stopping_; });
    }
    /// Ends the connection with a reset in place of a farewell.
    void reset() {
      const linger hard = {1, 0};
      ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
      close();
    }
    void close() {
      if (socket_ < 0) return;
      server_.forget(socket_);
      ::close(socket_);
      socket_ = -1;
    }

   private:
    bool receive() {
      char bytes[16384];
      const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
      if (got <= 0) return false;
      buffer_.append(bytes, static_cast<std::size_t>(got));
      return true;
    }
    void read_chunks(std::string& body) {
      for (;;) {
        std::size_t end = 0;
        while ((end = buffer_.find("\r\n")) == std::string::npos) {
          if (!receive()) return;
        }
        const std::size_t size = std::stoul(buffer_.substr(0, end), nullptr, 16);
        while (buffer_.size() < end + 2 + size + 2) {
          if (!receive()) return;
        }
        body += buffer_.substr(end + 2, size);
        buffer_.erase(0, end + 2 + size + 2);
        if (size == 0) return;
      }
    }

    LoopbackServer& server_;
    int socket_;
    std::string buffer_;
  };

  using Handler = std::function<void(Peer&)>;

  /// `handler` serves one connection.
  explicit LoopbackServer(Handler handler) : handler_(std::move(handler)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_, 128) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      std::abort();
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~LoopbackServer() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
    }
    stopped_.notify_all();
    acceptor_.join();
    for (std::thread& thread : threads_) thread.join();
    ::close(listener_);
  }
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  /// One that answers each request by a function of it.
  static Handler answering(std::function<std::string(const SeenRequest&)> answer) {
    return [answer = std::move(answer)](Peer& peer) {
      while (const auto request = peer.read()) {
        if (!peer.send(answer(*request))) return;
      }
    };
  }

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string url(std::string_view path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + std::string(path);
  }
  [[nodiscard]] std::vector<SeenRequest> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  [[nodiscard]] std::size_t connections() const { return connections_; }
  /// Most connections that were open at once.
  [[nodiscard]] std::size_t most_open() const {
    const std::lock_guard lock(mutex_);
    return most_open_;
  }

 private:
  void accept_all() {
    for (;;) {
      pollfd waiting = {listener_, POLLIN, 0};
      ::poll(&waiting, 1, 20);
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      if ((waiting.revents & POLLIN) == 0) continue;
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) continue;
      ++connections_;
      sockets_.push_back(socket);
      most_open_ = std::max(most_open_, sockets_.size());
      threads_.emplace_back([this, socket] {
        Peer peer(*this, socket);
        handler_(peer);
      });
    }
  }
  void note(const SeenRequest& request) {
    const std::lock_guard lock(mutex_);
    seen_.push_back(request);
  }
  void forget(int socket) {
    const std::lock_guard lock(mutex_);
    std::erase(sockets_, socket);
  }

  Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  std::thread acceptor_;
  std::vector<std::thread> threads_;
  mutable std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::vector<int> sockets_;
  std::size_t most_open_ = 0;
  std::atomic<std::size_t> connections_ = 0;
  std::vector<SeenRequest> seen_;
};

}  // namespace nativo::io
