#include "base/interrupt.h"

#include <csignal>

#include "base/error.h"

namespace nativo {
namespace {

// A signal handler can reach nothing else: this flag is the process's only mutable global.
volatile std::sig_atomic_t signal_received = 0;

extern "C" void on_signal(int signal_number) {
  signal_received = 1;
  std::signal(signal_number, SIG_DFL);
}

}  // namespace

void install_signal_handlers() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

void release_signal_handlers() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  signal_received = 0;
}

bool interrupted() noexcept { return signal_received != 0; }

void stop_if_interrupted() {
  if (interrupted()) {
    throw Error(ExitCode::kTryAgain, "interrupted", "run the same command again to continue");
  }
}

}  // namespace nativo
