#include "base/heartbeat.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): sigset_t and kill are POSIX
#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"

namespace nativo::heartbeat {
namespace {

// A file of one size that is overwritten in place: no new space, no new names, one small write.
constexpr std::size_t kFileBytes = 512;
constexpr std::chrono::seconds kInterval(1);
constexpr std::array<const char*, 5> kPhases = {"start", "train", "evaluate", "save", "end"};

// The process's own state, like the flag of base/interrupt.h: one process, one sign of life.
std::atomic<int> current_phase = 0;
std::atomic<std::int64_t> current_step = 0;
std::atomic<std::int64_t> current_steps = 0;
std::atomic<std::int64_t> first_step = -1;  ///< that training began with; -1 = not yet
std::atomic<std::uint64_t> pieces_done = 0;

std::int64_t number_from(std::initializer_list<const char*> names, std::int64_t otherwise) {
  for (const char* name : names) {
    const char* text = std::getenv(name);
    if (text == nullptr) continue;
    std::int64_t value = 0;
    const char* end = text + std::strlen(text);
    const auto [at, error] = std::from_chars(text, end, value);
    if (error == std::errc() && at == end && value >= 0) return value;
  }
  return otherwise;
}

std::string host_name() {
  if (const char* name = std::getenv("SLURMD_NODENAME")) return name;
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

class Beater {
 public:
  explicit Beater(std::string folder)
      : folder_(std::move(folder)),
        rank_(number_from({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"}, 0)),
        file_(folder_ + fmt::format("/rank-{:05}", rank_)),
        descriptor_(::open((file_ + ".json").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666)),
        about_({{"rank", rank_},
                {"restart", number_from({"NATIVO_RESTART"}, 0)},
                {"node", host_name()},
                {"pid", ::getpid()}}) {
    if (descriptor_ < 0) return;
    // Signals are the main thread's, whose handler has a stack of its own (base/interrupt.cc).
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { beat_until_stopped(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ~Beater() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Beater(const Beater&) = delete;
  Beater& operator=(const Beater&) = delete;

  /// Beats now, not at the end of the second.
  void wake() {
    {
      const std::lock_guard lock(mutex_);
      hurried_ = true;
    }
    wake_.notify_all();
  }

  void note_exit(int code, std::string_view message) const {
    const std::string text =
        dump_json({{"exit", code}, {"message", message}, {"time", unix_seconds()}}) + "\n";
    const int file =
        ::open((file_ + ".exit").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0) return;
    [[maybe_unused]] const ssize_t written = ::write(file, text.data(), text.size());
    ::close(file);
  }

 private:
  void beat_until_stopped() {
    std::unique_lock lock(mutex_);
    do {
      lock.unlock();
      beat();
      end_when_overtaken();
      if (rank_ == 0) obey_stop_file();
      lock.lock();
      wake_.wait_for(lock, kInterval, [this] { return stopped_ || hurried_; });
      hurried_ = false;
    } while (!stopped_);
    beat();  // the last one says how far the work had come when the process ended by itself
  }

  void beat() {
    const std::uint64_t pieces = pieces_done.load(std::memory_order_relaxed);
    const int phase = current_phase.load(std::memory_order_relaxed);
    about_["beat"] = ++beats_;
    about_["time"] = unix_seconds();
    about_["phase"] = kPhases[static_cast<std::size_t>(phase)];
    about_["step"] = current_step.load(std::memory_order_relaxed);
    about_["steps"] = current_steps.load(std::memory_order_relaxed);
    about_["first"] = first_step.load(std::memory_order_relaxed);
    about_["pieces"] = pieces;
    std::string text = dump_json(about_);
    if (text.size() >= kFileBytes) return;
    text.resize(kFileBytes - 1, ' ');
    text += '\n';
    [[maybe_unused]] const ssize_t written =
        ::pwrite(descriptor_, text.data(), text.size(), 0);  // a lost beat is made up by the next
  }

  void obey_stop_file() {
    if (asked_to_stop_ || ::access((folder_ + "/stop").c_str(), F_OK) != 0) return;
    asked_to_stop_ = true;
    ::kill(::getpid(), SIGTERM);
  }

  // Nothing is saved on the way out: what this start still could write is refused anyway.
  void end_when_overtaken() const {
    if (::access((folder_ + "/overtaken").c_str(), F_OK) != 0) return;
    constexpr int kCode = static_cast<int>(ExitCode::kLocked);
    note_exit(kCode, "a newer start of this run has taken over");
    ::_exit(kCode);
  }

  std::string folder_;
  std::int64_t rank_;
  std::string file_;
  int descriptor_;
  Json about_;
  std::uint64_t beats_ = 0;
  bool asked_to_stop_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopped_ = false;
  bool hurried_ = false;
  std::thread thread_;
};

std::unique_ptr<Beater>& beater() {
  static std::unique_ptr<Beater> one;
  return one;
}

}  // namespace

void start_from_environment() {
  const char* folder = std::getenv("NATIVO_HEARTBEATS");
  if (folder != nullptr && *folder != '\0') beater() = std::make_unique<Beater>(folder);
}

void progress(Phase phase, std::int64_t step, std::int64_t steps) noexcept {
  current_phase.store(static_cast<int>(phase), std::memory_order_relaxed);
  current_step.store(step, std::memory_order_relaxed);
  current_steps.store(steps, std::memory_order_relaxed);
  tick();
  std::int64_t none = -1;
  if (phase == Phase::kTrain && first_step.compare_exchange_strong(none, step) && beater()) {
    beater()->wake();  // the end of an outage is measured by this beat
  }
}

void tick() noexcept { pieces_done.fetch_add(1, std::memory_order_relaxed); }

void note_exit(int code, std::string_view message) {
  if (beater()) beater()->note_exit(code, message);
}

}  // namespace nativo::heartbeat
