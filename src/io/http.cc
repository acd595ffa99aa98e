#include "io/http.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <unordered_map>
#include <utility>

#include "base/clock.h"
#include "base/interrupt.h"
#include "io/http_transfer.h"

namespace nativo::io {
namespace {

void init_curl() {
  static const CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (result != CURLE_OK) {
    throw Error(ExitCode::kInternal,
                fmt::format("libcurl cannot be used: {}", curl_easy_strerror(result)));
  }
}

void check(CURLMcode code) { NATIVO_CHECK(code == CURLM_OK, curl_multi_strerror(code)); }

}  // namespace

struct HttpClient::State {
  HttpSettings settings;
  OpenSockets sockets;
  CURLM* multi = nullptr;
  std::deque<std::unique_ptr<Transfer>> waiting;
  std::unordered_map<CURL*, std::unique_ptr<Transfer>> running;
  std::deque<std::unique_ptr<Transfer>> ended;

  ~State() {
    for (const auto& [easy, transfer] : running) curl_multi_remove_handle(multi, easy);
    running.clear();
    if (multi != nullptr) curl_multi_cleanup(multi);
  }

  void send(std::unique_ptr<Transfer> transfer) {
    if (!transfer->prepare(settings, sockets)) {
      ended.push_back(std::move(transfer));
      return;
    }
    CURL* const easy = transfer->easy();
    running.emplace(easy, std::move(transfer));
    check(curl_multi_add_handle(multi, easy));
  }

  void send_waiting() {
    while (!waiting.empty() && running.size() < settings.max_in_flight) {
      std::unique_ptr<Transfer> next = std::move(waiting.front());
      waiting.pop_front();
      send(std::move(next));
    }
  }

  /// Forgets a transfer, wherever it is.
  void drop(const Transfer* transfer) {
    const auto is_it = [transfer](const auto& each) { return each.get() == transfer; };
    std::erase_if(waiting, is_it);
    std::erase_if(ended, is_it);
    for (auto each = running.begin(); each != running.end(); ++each) {
      if (each->second.get() != transfer) continue;
      curl_multi_remove_handle(multi, each->first);
      running.erase(each);
      return;
    }
  }

  void collect() {
    int left = 0;
    while (const CURLMsg* const message = curl_multi_info_read(multi, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      CURL* const easy = message->easy_handle;
      const CURLcode code = message->data.result;
      curl_multi_remove_handle(multi, easy);
      auto node = running.extract(easy);
      NATIVO_CHECK(!node.empty(), "libcurl speaks of a transfer that is not ours");
      std::unique_ptr<Transfer> transfer = std::move(node.mapped());
      if (transfer->ended(code)) {
        send(std::move(transfer));
      } else {
        ended.push_back(std::move(transfer));
      }
    }
  }
};

HttpClient::HttpClient(HttpSettings settings) : state_(std::make_unique<State>()) {
  init_curl();
  state_->settings = std::move(settings);
  state_->settings.max_in_flight = std::max<std::size_t>(1, state_->settings.max_in_flight);
  state_->multi = curl_multi_init();
  NATIVO_CHECK(state_->multi != nullptr, "out of memory");
}

HttpClient::~HttpClient() = default;

HttpResponse HttpClient::fetch(HttpRequest request) {
  std::optional<HttpResponse> answer;
  auto transfer = std::make_unique<Transfer>(
      std::move(request), [&answer](HttpResponse response) { answer = std::move(response); });
  const Transfer* const ours = transfer.get();
  state_->waiting.push_back(std::move(transfer));
  try {
    while (!answer) {
      poll(0.1);
      if (!answer) stop_if_interrupted();
    }
  } catch (...) {
    state_->drop(ours);  // it refers to `answer`
    throw;
  }
  return std::move(*answer);
}

void HttpClient::start(HttpRequest request, OnDone done) {
  state_->waiting.push_back(std::make_unique<Transfer>(std::move(request), std::move(done)));
}

std::size_t HttpClient::poll(double seconds) {
  State& s = *state_;
  const double deadline = monotonic_seconds() + seconds;
  for (;;) {
    s.send_waiting();
    int running = 0;
    check(curl_multi_perform(s.multi, &running));
    s.collect();
    if (!s.ended.empty()) break;
    const double left = deadline - monotonic_seconds();
    if (left <= 0) return 0;
    const int wait = static_cast<int>(std::ceil(std::min(left, 1.0) * 1000.0));
    check(curl_multi_poll(s.multi, nullptr, 0, wait, nullptr));
  }
  std::size_t count = 0;
  while (!s.ended.empty()) {
    const std::unique_ptr<Transfer> transfer = std::move(s.ended.front());
    s.ended.pop_front();
    ++count;
    transfer->deliver();
  }
  return count;
}

std::size_t HttpClient::unfinished() const {
  return state_->waiting.size() + state_->running.size() + state_->ended.size();
}

}  // namespace nativo::io
