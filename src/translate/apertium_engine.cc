// One thread a worker; each pumps all its links in one poll loop, so that neither a full pipe nor
// the latency of twenty programs stops the flow.
#include "translate/apertium_engine.h"

#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <exception>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

namespace nativo::translate {
namespace {

/// Sentences on their way at once: enough to keep twenty programs busy.
constexpr std::size_t kWindow = 256;
/// After a break this many sentences go one by one, so that the one to blame is known.
constexpr std::size_t kCareful = 64;
/// Breaks in a row, without a single answer between them, that end the run.
constexpr int kMaxBreaks = 20;

/// Ends a question: a blank that proves whose answer it is, and a full stop that brings the tagger
/// back to the start of a sentence.
std::string question_end(std::size_t number) { return fmt::format("[\x01#{}\x02].[]", number); }

class Worker {
 public:
  explicit Worker(const ApertiumSetup& setup) : setup_(setup) {}

  /// Fills `results[i]` for the sentences i = first, first + stride, ...
  void translate(std::span<const Sentence> sentences, std::size_t first, std::size_t stride,
                 std::vector<Translation>& results) {
    std::deque<std::size_t> waiting;
    for (std::size_t i = first; i < sentences.size(); i += stride) waiting.push_back(i);
    std::size_t careful = 0;
    std::size_t suspect = sentences.size();
    while (!waiting.empty()) {
      if (links_.empty()) start();
      const std::size_t window = careful > 0 ? 1 : kWindow;
      const std::size_t count = careful > 0 ? std::min(careful, waiting.size()) : waiting.size();
      const std::size_t done = pump(sentences, waiting, count, window, results);
      waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(done));
      if (done == count) {
        careful = 0;
        continue;
      }
      links_.clear();
      breaks_ = done > 0 ? 1 : breaks_ + 1;
      if (breaks_ > kMaxBreaks) {
        throw Error(ExitCode::kIo, "the translation engine stopped answering again and again",
                    "see whether `apertium eng-spa` works by hand, then run again to continue");
      }
      careful = kCareful;
      if (window == 1 && waiting.front() == suspect) {  // alone, and on a fresh chain, twice
        results[suspect] = Translation{};
        waiting.pop_front();
      } else if (window == 1) {
        suspect = waiting.front();
      }
    }
  }

 private:
  struct RunningLink {
    std::unique_ptr<ProcessChain> chain;
    std::string to_write;
    std::string received;
    std::deque<std::size_t> expected;  ///< positions in `items` in the order of the questions
  };
  struct Item {
    Masked masked;
    std::size_t number;  ///< unique in this worker's life: no answer is ever taken for another's
  };

  void start() {
    for (const Link& link : setup_.links) {
      RunningLink running;
      running.chain = std::make_unique<ProcessChain>(link.programs);
      if (!link.warm_up.empty()) warm_up(running, link.warm_up);
      links_.push_back(std::move(running));
    }
  }

  void warm_up(RunningLink& link, const std::string& sentence) {
    link.to_write = sentence + question_end(0) + '\0';
    const double deadline = monotonic_seconds() + setup_.timeout_seconds;
    bool alive = true;
    while (alive && link.received.find('\0') == std::string::npos) {
      alive = monotonic_seconds() < deadline && exchange(std::span(&link, 1), 0.1);
    }
    if (!alive) {
      links_.clear();
      throw Error(ExitCode::kIo, "the translation engine does not answer",
                  "see whether `apertium eng-spa` works by hand");
    }
    link.received.clear();
  }

  /// Waits for the chains, writes and reads what is possible; false when one is broken.
  static bool exchange(std::span<RunningLink> links, double seconds) {
    std::vector<pollfd> fds;
    for (const RunningLink& link : links) {
      const short events = link.to_write.empty() ? short{0} : short{POLLOUT};
      fds.push_back({link.chain->input_fd(), events, 0});
      fds.push_back({link.chain->output_fd(), POLLIN, 0});
    }
    if (::poll(fds.data(), fds.size(), static_cast<int>(seconds * 1000)) < 0 && errno != EINTR) {
      return false;
    }
    bool sound = true;
    for (std::size_t i = 0; i < links.size(); ++i) {
      RunningLink& link = links[i];
      if (fds[2 * i].revents != 0 && !link.to_write.empty()) {
        const long written = link.chain->write_some(link.to_write);
        if (written < 0) sound = false;
        link.to_write.erase(0, static_cast<std::size_t>(std::max(written, 0L)));
      }
      if (fds[2 * i + 1].revents != 0) sound = link.chain->read_some(link.received) && sound;
    }
    return sound;
  }

  void ask(RunningLink& link, std::vector<Item>& items, std::size_t position) {
    link.to_write += items[position].masked.stream + question_end(items[position].number) + '\0';
    link.expected.push_back(position);
  }

  /// Translates the first `count` of `waiting`; returns how many were done before a break.
  std::size_t pump(std::span<const Sentence> sentences, const std::deque<std::size_t>& waiting,
                   std::size_t count, std::size_t window, std::vector<Translation>& results) {
    std::vector<Item> items(count);
    std::size_t asked = 0;
    std::size_t done = 0;
    std::size_t in_flight = 0;
    double last_progress = monotonic_seconds();
    while (done < count) {
      while (asked < count && in_flight < window) {
        items[asked] = {mask(sentences[waiting[asked]]), ++numbers_};
        ask(links_.front(), items, asked);
        ++asked;
        ++in_flight;
      }
      const bool alive = exchange(links_, 0.2);
      for (std::size_t l = 0; l < links_.size(); ++l) {
        RunningLink& link = links_[l];
        std::size_t begin = 0;
        for (std::size_t end = link.received.find('\0'); end != std::string::npos;
             end = link.received.find('\0', begin)) {
          std::string_view answer(link.received.data() + begin, end - begin);
          begin = end + 1;
          if (link.expected.empty()) return done;
          Item& item = items[link.expected.front()];
          const std::string marker = fmt::format("[\x01#{}\x02]", item.number);
          const std::size_t proof = answer.find(marker);
          if (proof == std::string_view::npos) return done;
          answer = answer.substr(0, proof);
          const std::size_t position = link.expected.front();
          link.expected.pop_front();
          if (l + 1 < links_.size()) {
            remask(item.masked, setup_.between == nullptr ? answer : setup_.between(answer));
            ask(links_[l + 1], items, position);
          } else {
            Translation& result = results[waiting[position]];
            result = unmask(item.masked, answer, setup_.lookup);
            if (setup_.finish != nullptr && result.ok) {
              result.text =
                  setup_.finish(sentences[waiting[position]].text, std::move(result.text));
            }
            item.masked = {};
            ++done;
            --in_flight;
          }
          last_progress = monotonic_seconds();
        }
        link.received.erase(0, begin);
      }
      if (!alive || monotonic_seconds() - last_progress > setup_.timeout_seconds) return done;
    }
    return done;
  }

  const ApertiumSetup& setup_;
  std::vector<RunningLink> links_;
  std::size_t numbers_ = 0;
  int breaks_ = 0;
};

class ApertiumEngine : public TranslationEngine {
 public:
  explicit ApertiumEngine(ApertiumSetup setup) : setup_(std::move(setup)) {
    const std::size_t count = std::max<std::size_t>(setup_.workers, 1);
    for (std::size_t i = 0; i < count; ++i) workers_.push_back(std::make_unique<Worker>(setup_));
  }

  std::vector<Translation> translate(std::span<const Sentence> sentences) override {
    std::vector<Translation> results(sentences.size());
    // A chain takes a while to start: a few sentences are not worth a second one.
    const std::size_t used = std::clamp<std::size_t>(sentences.size() / 16, 1, workers_.size());
    std::vector<std::exception_ptr> failures(used);
    const auto work = [&](std::size_t worker) {
      try {
        workers_[worker]->translate(sentences, worker, used, results);
      } catch (...) {
        failures[worker] = std::current_exception();
      }
    };
    std::vector<std::jthread> threads;
    for (std::size_t worker = 1; worker < used; ++worker) threads.emplace_back(work, worker);
    work(0);
    threads.clear();
    for (const std::exception_ptr& failure : failures) {
      if (failure) std::rethrow_exception(failure);
    }
    return results;
  }

  std::string name() const override { return "apertium"; }
  std::string version() const override { return setup_.version; }

 private:
  ApertiumSetup setup_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace

std::unique_ptr<TranslationEngine> make_apertium_engine(ApertiumSetup setup) {
  NATIVO_CHECK(!setup.links.empty(), "an engine needs a language pair");
  return std::make_unique<ApertiumEngine>(std::move(setup));
}

}  // namespace nativo::translate
