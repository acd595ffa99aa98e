// One event loop: start what may start, wait for the network, look at what came.
#include "generate/chat_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <exception>
#include <map>
#include <unordered_map>
#include <utility>

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/strings.h"
#include "generate/answer_cache.h"
#include "generate/chat_protocol.h"
#include "generate/token_bucket.h"
#include "io/http.h"

namespace nativo::generate {
namespace {

constexpr std::uint64_t kMostAnswerBytes = std::uint64_t{8} << 20;
/// So many questions refused, and none ever answered: it is not the questions.
constexpr std::int64_t kRefusedInVain = 8;
/// So many questions given up, and none answered between them: the server is gone.
constexpr int kBrokenInARow = 3;
constexpr double kMostWait = 60;  ///< seconds between two attempts, unless the server asks for more
constexpr double kPatience = 600;     ///< seconds; a server that asks for more ends the run
constexpr double kBytesPerToken = 4;  ///< for the rate limit only

std::string completions_url(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  if (!url.ends_with("/chat/completions")) url += "/chat/completions";
  return url;
}

std::string key_from(const std::string& variable) {
  if (variable.empty()) return {};
  const char* const key = std::getenv(variable.c_str());
  if (key == nullptr || *key == '\0') {
    throw Error(
        ExitCode::kConfig,
        fmt::format("the environment variable {} (api_key_env) is not set", printable(variable)),
        "export it, or leave api_key_env empty for a server without a key");
  }
  return key;
}

bool is_loopback(std::string_view url) {
  const std::string_view host = url.substr(url.find("://") + 3);
  return host.starts_with("127.") || host.starts_with("localhost") || host.starts_with("[::1]");
}

}  // namespace

struct ChatClient::State {
  ChatModelOptions options;
  std::string url;
  std::string key;
  io::HttpClient http;
  AnswerCache cache;
  TokenBucket requests;
  TokenBucket tokens;
  ChatUsage usage;
  Rng rng;
  double last_success = 0;
  int broken_in_a_row = 0;  ///< questions that the server broke at since then
  double closed_until = 0;  ///< the server asked everybody to wait

  State(const ChatModelOptions& chosen, io::Disk& disk)
      : options(chosen),
        url(completions_url(chosen.url)),
        key(key_from(chosen.api_key_env)),
        http({.max_in_flight = static_cast<std::size_t>(chosen.concurrency)}),
        cache(chosen.cache, disk),
        requests(static_cast<double>(chosen.requests_per_minute)),
        tokens(static_cast<double>(chosen.tokens_per_minute)),
        rng(static_cast<std::uint64_t>(unix_seconds() * 1000.0)) {}

  /// Servers like to quote the key that they do not accept.
  [[nodiscard]] std::string scrubbed(std::string text) const {
    return key.empty() ? text : replace_all(text, key, "***");
  }
  void lose(std::int64_t most_tokens) {
    cache.lose(most_tokens);
    usage.lost_tokens += most_tokens;
  }
  [[nodiscard]] double delay(int attempt) {
    const double whole = std::min(kMostWait, options.retry_wait * std::exp2(attempt - 1));
    return whole * (0.5 + 0.5 * rng.uniform());
  }
};

/// One call of ask().
class ChatClient::Round {
 public:
  Round(State& state, std::span<const ChatQuestion> questions) : s_(state) {
    answers_.resize(questions.size());
    std::unordered_map<std::string, Known> known;
    for (std::size_t i = 0; i < questions.size(); ++i) add(questions[i], i, known);
  }

  std::vector<ChatAnswer> run() {
    while (in_flight_ > 0 || (!stop_ && has_work())) {
      if (interrupted() && !stop_) end_by_signal();
      const double wait = stop_ ? 0.2 : start_what_may();
      s_.http.poll(std::clamp(wait, 0.001, 0.2));
    }
    s_.cache.sync();
    if (stop_) std::rethrow_exception(stop_);
    return std::move(answers_);
  }

 private:
  struct Job {
    std::string body;
    std::string key;
    std::int64_t most_prompt = 0;
    std::int64_t most_answer = 0;
    std::vector<std::size_t> places;  ///< in answers_
    int attempts = 0;
    double first_asked = 0;
    [[nodiscard]] std::int64_t bound() const { return most_prompt + most_answer; }
    [[nodiscard]] double rate_cost() const {
      return static_cast<double>(body.size()) / kBytesPerToken + static_cast<double>(most_answer);
    }
  };

  /// Where an equal question of this round stands.
  struct Known {
    std::size_t job;    ///< in jobs_, or SIZE_MAX: answered from the cache
    std::size_t place;  ///< in answers_
  };

  void add(const ChatQuestion& question, std::size_t place,
           std::unordered_map<std::string, Known>& known) {
    Job job;
    job.body = chat_request_body(question, s_.options);
    job.key = AnswerCache::key(s_.url, job.body);
    const auto [found, is_new] = known.try_emplace(job.key, Known{jobs_.size(), place});
    if (!is_new) {
      if (found->second.job == SIZE_MAX) {
        answers_[place] = answers_[found->second.place];
      } else {
        jobs_[found->second.job].places.push_back(place);
      }
      return;
    }
    if (auto answer = s_.cache.find(job.key)) {
      answers_[place] = std::move(*answer);
      found->second.job = SIZE_MAX;
      ++s_.usage.cached;
      return;
    }
    job.most_prompt = most_prompt_tokens(question);
    job.most_answer = question.max_tokens;
    job.places.push_back(place);
    ready_.push_back(jobs_.size());
    jobs_.push_back(std::move(job));
  }

  [[nodiscard]] bool has_work() const { return !ready_.empty() || !delayed_.empty(); }

  void end_by_signal() {
    if (in_flight_ > 0) {
      log::info("waiting for {} answers that are paid for; once more to leave them", in_flight_);
    }
    stop(ExitCode::kTryAgain, "interrupted", "run the same command again to continue");
  }

  void stop(std::exception_ptr why) {
    if (!stop_) stop_ = std::move(why);
  }
  void stop(ExitCode code, const std::string& message, std::string hint) {
    stop(std::make_exception_ptr(Error(code, s_.scrubbed(message), std::move(hint))));
  }

  /// Starts questions; the seconds until it makes sense to try again.
  double start_what_may() {
    const double now = monotonic_seconds();
    while (!delayed_.empty() && delayed_.begin()->first <= now) {
      ready_.push_front(delayed_.begin()->second);
      delayed_.erase(delayed_.begin());
    }
    double wait = delayed_.empty() ? 1.0 : delayed_.begin()->first - now;
    if (s_.closed_until > now) return std::min(wait, s_.closed_until - now);
    while (!ready_.empty() && in_flight_ < s_.options.concurrency) {
      Job& job = jobs_[ready_.front()];
      const double limit = std::max(s_.requests.wait(1, now), s_.tokens.wait(job.rate_cost(), now));
      if (limit > 0) return std::min(wait, limit);
      if (!within_budget(job)) return wait;
      const std::size_t index = ready_.front();
      ready_.pop_front();
      send(index, now);
    }
    return wait;
  }

  /// False when it must wait for answers on their way, or when the run ends here.
  bool within_budget(const Job& job) {
    const std::int64_t budget = s_.options.budget_tokens;
    if (budget == 0 || s_.cache.spent_tokens() + reserved_ + job.bound() <= budget) return true;
    if (in_flight_ > 0) return false;
    stop(
        ExitCode::kTryAgain,
        fmt::format("budget_tokens = {} is used up: {} tokens are spent, and the next question may "
                    "take {}",
                    budget, s_.cache.spent_tokens(), job.bound()),
        "raise budget_tokens and run the same command again; the answers so far are kept in the "
        "cache");
    return false;
  }

  void send(std::size_t index, double now) {
    Job& job = jobs_[index];
    io::HttpRequest request;
    request.method = "POST";
    request.url = s_.url;
    request.headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}};
    if (!s_.key.empty()) request.headers.push_back({"Authorization", "Bearer " + s_.key, true});
    request.body = job.body;
    request.body_limit = kMostAnswerBytes;
    request.compressed = true;
    request.reuse_connection = false;  // an answer must be that of its question, not of another
    request.timeouts = {
        .connect = std::min(30.0, s_.options.timeout), .total = s_.options.timeout, .low_speed = 0};
    s_.requests.take(1, now);
    s_.tokens.take(job.rate_cost(), now);
    reserved_ += job.bound();
    if (job.attempts++ == 0) job.first_asked = now;
    ++in_flight_;
    s_.http.start(std::move(request),
                  [this, index](io::HttpResponse response) { received(index, response); });
  }

  void received(std::size_t index, const io::HttpResponse& response) {
    Job& job = jobs_[index];
    --in_flight_;
    reserved_ -= job.bound();
    try {
      look_at(index, job, response);
    } catch (...) {  // the disk of the cache
      stop(std::current_exception());
    }
  }

  void look_at(std::size_t index, Job& job, const io::HttpResponse& response) {
    using enum io::HttpFailure;
    switch (response.failure) {
      case kNone:
        break;
      case kConnect:
        s_.tokens.give_back(job.rate_cost());
        return again(index, job, response.message, 0);
      case kTimeout:
      case kBroken:
      case kProtocol:
      case kTooLarge:
      case kStopped:
        s_.lose(job.bound());
        return again(index, job, response.message, 0);
      case kTls:
      case kRedirect:
      case kRequest:
        return stop(std::make_exception_ptr(io::http_error("POST", response)));
    }
    if (response.ok()) {
      const Result<ChatReply> reply = parse_chat_reply(response.body);
      if (reply) return answered(job, reply.value());
      s_.lose(job.bound());
      return again(index, job,
                   fmt::format("{}: {}", reply.rejection().rule, reply.rejection().value), 0, true);
    }
    s_.tokens.give_back(job.rate_cost());  // errors are not billed
    not_ok(index, job, response);
  }

  void answered(Job& job, const ChatReply& reply) {
    const std::int64_t prompt = reply.prompt_tokens >= 0 ? reply.prompt_tokens : job.most_prompt;
    const std::int64_t completion =
        reply.completion_tokens >= 0 ? reply.completion_tokens : job.most_answer;
    s_.tokens.give_back(job.rate_cost() - static_cast<double>(prompt + completion));
    s_.cache.put(job.key, reply.answer, prompt + completion);
    s_.usage.prompt_tokens += prompt;
    s_.usage.completion_tokens += completion;
    ++s_.usage.asked;
    s_.last_success = monotonic_seconds();
    s_.broken_in_a_row = 0;
    for (const std::size_t place : job.places) answers_[place] = reply.answer;
  }

  void not_ok(std::size_t index, Job& job, const io::HttpResponse& response) {
    std::string code;
    const std::string words = chat_error_message(response.body, code);
    const std::string problem = fmt::format("{}: {}", response.status, words);
    const int status = response.status;
    const std::string where = io::shown_url(s_.url);
    if (status == 401 || status == 403) {
      return stop(ExitCode::kConfig, fmt::format("{}: {}", where, problem),
                  s_.options.api_key_env.empty()
                      ? "the server wants a key: name its environment variable in api_key_env"
                      : fmt::format("the key in {} is not accepted", s_.options.api_key_env));
    }
    if (status == 404 || status == 405) {
      return stop(ExitCode::kConfig, fmt::format("{}: {}", where, problem), "correct url or model");
    }
    if (status == 402 || code == "insufficient_quota") {
      return stop(ExitCode::kTryAgain, fmt::format("{}: {}", where, problem),
                  "the account is used up; when it is filled, run the same command again");
    }
    if (status == 408 || status == 409 || status == 425 || status == 429 || status >= 500) {
      const double asked = io::retry_after(response, unix_seconds()).value_or(0);
      if (asked > kPatience) {
        return stop(
            ExitCode::kTryAgain,
            fmt::format("{}: {}; it asks to wait {}", where, problem, human_duration(asked)),
            "run the same command again later");
      }
      if (status == 429 || asked > 0) close_for(std::max(asked, s_.delay(job.attempts)));
      return again(index, job, problem, asked);
    }
    fail(job, problem);
  }

  /// 429 means everybody, not the one who asked.
  void close_for(double seconds) {
    s_.closed_until = std::max(s_.closed_until, monotonic_seconds() + seconds);
  }

  void fail(const Job& job, const std::string& reason) {
    ++s_.usage.failed;
    for (const std::size_t place : job.places) {
      answers_[place] = {ChatEnd::kFailed, {}, s_.scrubbed(reason)};
    }
    if (s_.usage.asked == 0 && s_.usage.cached == 0 && s_.usage.failed >= kRefusedInVain) {
      stop(ExitCode::kIo,
           fmt::format("{}: no question is answered: {}", io::shown_url(s_.url), reason),
           "see whether url, model and extra_body are what this server wants");
    }
  }

  /// What happens to a question that got no answer. `answers`: the server is at work, though what
  /// it says is of no use.
  void again(std::size_t index, Job& job, const std::string& problem, double at_least,
             bool answers = false) {
    if (job.attempts <= s_.options.max_retries) {
      ++s_.usage.retries;
      delayed_.emplace(monotonic_seconds() + std::max(at_least, s_.delay(job.attempts)), index);
      return;
    }
    const std::string reason = fmt::format("gave up after {} attempts: {}", job.attempts, problem);
    if (answers) return fail(job, reason);
    ++s_.broken_in_a_row;
    if (s_.last_success > job.first_asked && s_.broken_in_a_row < kBrokenInARow) {
      return fail(job, reason);  // it is this question, not the server
    }
    stop(ExitCode::kTryAgain, fmt::format("{}: {}", io::shown_url(s_.url), reason),
         "see whether the server is up, then run the same command again; the answers so far are "
         "kept in the cache");
  }

  State& s_;
  std::vector<ChatAnswer> answers_;
  std::vector<Job> jobs_;
  std::deque<std::size_t> ready_;
  std::multimap<double, std::size_t> delayed_;  ///< by when they may be asked again
  std::int64_t in_flight_ = 0;
  std::int64_t reserved_ = 0;  ///< tokens that those in flight may take
  std::exception_ptr stop_;
};

void check_chat_client(const ChatModelOptions& options) {
  if (options.url.empty() || options.model.empty()) {
    throw Error(ExitCode::kConfig,
                fmt::format("no {} for the language model", options.url.empty() ? "url" : "model"),
                "set url and model");
  }
  if (options.cache.empty()) {
    throw Error(ExitCode::kConfig, "no cache folder for the language model's answers", "set cache");
  }
  if (!options.url.starts_with("http://") && !options.url.starts_with("https://")) {
    throw Error(ExitCode::kConfig,
                fmt::format("{}: no http:// or https:// URL", io::shown_url(options.url)),
                "correct url");
  }
  (void)key_from(options.api_key_env);
  (void)chat_request_body({}, options);
}

ChatClient::ChatClient(const ChatModelOptions& options, io::Disk& disk) {
  check_chat_client(options);
  state_.reset(new State(options, disk));
  if (!state_->key.empty() && state_->url.starts_with("http://") && !is_loopback(state_->url)) {
    log::warn("{}: the key goes there unencrypted", io::shown_url(state_->url));
  }
}

ChatClient::~ChatClient() = default;

std::vector<ChatAnswer> ChatClient::ask(std::span<const ChatQuestion> questions) {
  return Round(*state_, questions).run();
}

std::string ChatClient::version() const {
  const ChatModelOptions& o = state_->options;
  std::string version = fmt::format("{} at {}, temperature {}, seed {}", o.model,
                                    io::shown_url(o.url), o.temperature, o.seed);
  if (!o.extra_body.empty()) version += fmt::format(", {}", o.extra_body);
  return version;
}

ChatUsage ChatClient::usage() const { return state_->usage; }

std::int64_t ChatClient::spent_tokens() const { return state_->cache.spent_tokens(); }

}  // namespace nativo::generate
