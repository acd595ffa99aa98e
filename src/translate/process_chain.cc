#include "translate/process_chain.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace nativo::translate {
namespace {

void close_fd(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

void set_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

/// posix_spawn's two helper objects, freed together.
struct SpawnSettings {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  SpawnSettings(int in, int out) {
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setpgroup(&attributes, 0);
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    sigaddset(&signals, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
};

}  // namespace

ProcessChain::ProcessChain(const std::vector<Argv>& programs) {
  NATIVO_CHECK(!programs.empty(), "a chain needs a program");
  const char* path = std::getenv("PATH");
  std::string path_entry = std::string("PATH=") + (path != nullptr ? path : "/usr/bin:/bin");
  std::string locale_entry = "LC_ALL=C.UTF-8";
  std::array<char*, 3> environment = {path_entry.data(), locale_entry.data(), nullptr};

  // A socket instead of a pipe: writing to a dead program is then an error, never a signal.
  std::array<int, 2> entry{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, entry.data()) != 0) {
    throw errno_error(errno, "opening a socket to", programs[0][0]);
  }
  input_ = entry[0];
  int next_input = entry[1];
  for (const Argv& program : programs) {
    std::array<int, 2> out{};
    if (::pipe2(out.data(), O_CLOEXEC) != 0) {
      const int error = errno;
      close_fd(next_input);
      stop();
      throw errno_error(error, "opening a pipe from", program[0]);
    }
    std::vector<std::string> copies(program);
    std::vector<char*> argv;
    for (std::string& argument : copies) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_t pid = 0;
    const SpawnSettings settings(next_input, out[1]);
    const int error = ::posix_spawnp(&pid, argv[0], &settings.actions, &settings.attributes,
                                     argv.data(), environment.data());
    close_fd(next_input);
    close_fd(out[1]);
    next_input = out[0];
    if (error != 0) {
      close_fd(next_input);
      stop();
      throw Error(ExitCode::kMissingInput,
                  "cannot start " + program[0] + ": " + std::strerror(error),
                  "install the package that holds it, or put it into PATH");
    }
    pids_.push_back(pid);
  }
  output_ = next_input;
  set_nonblocking(input_);
  set_nonblocking(output_);
}

ProcessChain::~ProcessChain() { stop(); }

void ProcessChain::stop() {
  close_fd(input_);
  close_fd(output_);
  for (const pid_t pid : pids_) ::kill(pid, SIGKILL);
  for (const pid_t pid : pids_) {
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  pids_.clear();
}

long ProcessChain::write_some(std::string_view bytes) {
  const ssize_t written = ::send(input_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (written >= 0) return written;
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

bool ProcessChain::read_some(std::string& buffer) {
  std::array<char, 65536> chunk{};
  for (;;) {
    const ssize_t count = ::read(output_, chunk.data(), chunk.size());
    if (count > 0) {
      buffer.append(chunk.data(), static_cast<std::size_t>(count));
      if (static_cast<std::size_t>(count) < chunk.size()) return true;
    } else if (count == 0) {
      return false;
    } else if (errno == EINTR) {
      continue;
    } else {
      return errno == EAGAIN || errno == EWOULDBLOCK;
    }
  }
}

}  // namespace nativo::translate
