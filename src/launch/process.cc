#include "launch/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill is POSIX
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/strings.h"

extern char** environ;

namespace nativo::launch {
namespace {

constexpr std::size_t kMostOutput = std::size_t{4} << 20;  ///< more than any answer we ask for

int status_of(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/// Waits for the end of `pid`; nothing while it runs and `block` is false.
std::optional<int> wait_for(pid_t pid, bool block) {
  int status = 0;
  for (;;) {
    const pid_t got = ::waitpid(pid, &status, block ? 0 : WNOHANG);
    if (got == pid) return status_of(status);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return 127;
    return std::nullopt;
  }
}

class SpawnSettings {
 public:
  SpawnSettings() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    // Our handlers and ignored signals are ours alone; Ctrl-C reaches the group through us.
    sigset_t defaults;
    sigfillset(&defaults);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  /// The process id, or minus the error.
  pid_t spawn(const Words& command, const std::map<std::string, std::string>& environment) {
    std::vector<std::string> variables;
    for (char** each = environ; *each != nullptr; ++each) {
      const std::string_view text(*each);
      const std::string name(text.substr(0, text.find('=')));
      if (!environment.contains(name)) variables.emplace_back(text);
    }
    for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
    const auto pointers = [](const std::vector<std::string>& texts) {
      std::vector<char*> all;
      for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));
      all.push_back(nullptr);
      return all;
    };
    const std::vector<char*> arguments = pointers(command);
    const std::vector<char*> values = pointers(variables);
    pid_t pid = -1;
    const int error = posix_spawnp(&pid, arguments.front(), &actions, &attributes, arguments.data(),
                                   values.data());
    return error == 0 ? pid : -error;
  }

  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
};

/// A command whose output comes through two pipes.
struct Piped {
  pid_t pid = -1;
  std::array<int, 2> pipes = {-1, -1};  ///< its stdout, its stderr; -1 = at its end
  Output output;
  bool done = false;

  void start(const Words& command) {
    NATIVO_CHECK(!command.empty(), "a command has a program");
    SpawnSettings settings;
    std::array<int, 2> ends = {-1, -1};
    for (int stream = 0; stream < 2; ++stream) {
      std::array<int, 2> pipe{};
      if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw errno_error(errno, "make", "a pipe");
      pipes[static_cast<std::size_t>(stream)] = pipe[0];
      ends[static_cast<std::size_t>(stream)] = pipe[1];
      posix_spawn_file_actions_adddup2(&settings.actions, pipe[1], stream + 1);
    }
    pid = settings.spawn(command, {});
    for (const int end : ends) ::close(end);
    if (pid > 0) return;
    output.status = 127;
    output.err = command.front() + ": " + std::strerror(-pid);
    done = true;
    for (int& pipe : pipes) ::close(std::exchange(pipe, -1));
  }
  void read(std::size_t stream) {
    std::array<char, 65536> buffer{};
    const ssize_t got = ::read(pipes[stream], buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) return;
    if (got <= 0) {
      ::close(std::exchange(pipes[stream], -1));
      return;
    }
    std::string& text = stream == 0 ? output.out : output.err;
    const std::size_t room = kMostOutput - std::min(kMostOutput, text.size());
    text.append(buffer.data(), std::min(room, static_cast<std::size_t>(got)));
  }
  void kill() {
    if (done) return;
    ::kill(-pid, SIGKILL);
    output.timed_out = true;
    finish(*wait_for(pid, /*block=*/true));
  }
  void finish(int status) {
    output.status = status;
    done = true;
    for (std::size_t stream = 0; stream < 2; ++stream) {
      // What it wrote is in the pipes; a grandchild may still hold their other ends.
      while (pipes[stream] >= 0) {
        pollfd ready{.fd = pipes[stream], .events = POLLIN, .revents = 0};
        if (::poll(&ready, 1, 0) > 0) {
          read(stream);
        } else {
          ::close(std::exchange(pipes[stream], -1));
        }
      }
    }
  }
};

}  // namespace

std::vector<Output> run_commands(const std::vector<Words>& commands, double seconds) {
  std::vector<Piped> all(commands.size());
  for (std::size_t i = 0; i < commands.size(); ++i) all[i].start(commands[i]);
  const double deadline = monotonic_seconds() + seconds;
  for (;;) {
    std::vector<pollfd> waiting;
    std::vector<std::pair<std::size_t, std::size_t>> whose;
    bool running = false;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].done) continue;
      if (const auto status = wait_for(all[i].pid, /*block=*/false)) {
        all[i].finish(*status);
        continue;
      }
      running = true;
      for (std::size_t stream = 0; stream < 2; ++stream) {
        if (all[i].pipes[stream] < 0) continue;
        waiting.push_back({.fd = all[i].pipes[stream], .events = POLLIN, .revents = 0});
        whose.emplace_back(i, stream);
      }
    }
    if (!running) break;
    if (monotonic_seconds() > deadline) {
      for (Piped& each : all) each.kill();
      break;
    }
    if (::poll(waiting.data(), waiting.size(), 20) <= 0) continue;
    for (std::size_t k = 0; k < waiting.size(); ++k) {
      if (waiting[k].revents != 0) all[whose[k].first].read(whose[k].second);
    }
    if (waiting.empty()) ::usleep(20000);
  }
  std::vector<Output> outputs;
  for (Piped& each : all) outputs.push_back(std::move(each.output));
  return outputs;
}

Output run_command(const Words& command, double seconds) {
  return std::move(run_commands({command}, seconds).front());
}

Child::Child(const Words& command, const std::map<std::string, std::string>& environment,
             const std::filesystem::path& log) {
  NATIVO_CHECK(!command.empty(), "a command has a program");
  SpawnSettings settings;
  posix_spawn_file_actions_addopen(&settings.actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                   0666);
  posix_spawn_file_actions_adddup2(&settings.actions, 1, 2);
  pid_ = settings.spawn(command, environment);
  if (pid_ > 0) return;
  throw Error(ExitCode::kMissingInput,
              printable(command.front()) + ": cannot be started: " + std::strerror(-pid_),
              "is it installed and in PATH?");
}

Child::~Child() { kill_and_wait(); }

std::optional<int> Child::poll() {
  if (!status_) status_ = wait_for(pid_, /*block=*/false);
  return status_;
}

void Child::signal(int signal) const {
  if (!status_) ::kill(-pid_, signal);
}

int Child::kill_and_wait() {
  if (!poll()) {
    signal(SIGKILL);
    status_ = wait_for(pid_, /*block=*/true);
  }
  return *status_;
}

}  // namespace nativo::launch
