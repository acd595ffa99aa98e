// An OpenAI-compatible server for tests: answers by a function of the question, and misbehaves in
// every way that servers are known to.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "base/json.h"
#include "io/loopback_server.h"

namespace nativo::generate {

/// The body of a usual answer.
inline std::string completion(const std::string& text, const std::string& finish = "stop",
                              int prompt_tokens = 10, int completion_tokens = 5) {
  const Json body = {
      {"id", "x"},
      {"object", "chat.completion"},
      {"choices", Json::array({{{"index", 0},
                                {"message", {{"role", "assistant"}, {"content", text}}},
                                {"finish_reason", finish}}})},
      {"usage", {{"prompt_tokens", prompt_tokens}, {"completion_tokens", completion_tokens}}}};
  return dump_json(body);
}

class ChatServer {
 public:
  using Peer = io::LoopbackServer::Peer;
  /// `question` = what the last message says; `attempt` = how often it was asked, from 1. Sends
  /// what it likes.
  using Behaviour =
      std::function<void(Peer& peer, const std::string& question, int attempt, const Json& body)>;

  explicit ChatServer(Behaviour behaviour)
      : server_([this, behaviour = std::move(behaviour)](Peer& peer) {
          while (const auto request = peer.read()) {
            const Json body = Json::parse(request->body, nullptr, false);
            const std::string question = body["messages"].back()["content"].get<std::string>();
            int attempt = 0;
            {
              const std::lock_guard lock(mutex_);
              attempt = ++asked_[question];
            }
            behaviour(peer, question, attempt, body);
          }
        }) {}

  /// Answers each question by a function of it.
  static Behaviour saying(std::function<std::string(const std::string&)> answer) {
    return [answer = std::move(answer)](Peer& peer, const std::string& question, int, const Json&) {
      peer.send(io::http_answer(200, completion(answer(question))));
    };
  }

  [[nodiscard]] std::string url() const { return server_.url("/v1"); }
  [[nodiscard]] std::map<std::string, int> asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  /// Questions in all, repeated ones included.
  [[nodiscard]] int total() const {
    int sum = 0;
    for (const auto& [question, times] : asked()) sum += times;
    return sum;
  }
  [[nodiscard]] const io::LoopbackServer& server() const { return server_; }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, int> asked_;
  io::LoopbackServer server_;
};

}  // namespace nativo::generate
