#include "base/interrupt.h"

#include <signal.h>  // NOLINT(modernize-deprecated-headers): sigaction and sigaltstack are POSIX

#include "base/error.h"

namespace nativo {
namespace {

// A signal handler can reach nothing else: these are the process's only mutable globals.
volatile sig_atomic_t signal_received = 0;
alignas(16) char handler_stack[64 * 1024];

extern "C" void on_signal(int signal_number) {
  signal_received = 1;
  signal(signal_number, SIG_DFL);
}

// The matrix products that oneDNN generates keep live values below the stack pointer, where a
// handler's frame would overwrite them (seen with 2.6.3: a heap corrupted by Ctrl-C). On a stack of
// its own the handler touches nothing. Linux gives a process's first signal to its main thread.
void use_handler_stack() {
  stack_t current = {};
  if (sigaltstack(nullptr, &current) != 0 || (current.ss_flags & SS_DISABLE) == 0) return;
  stack_t stack = {};
  stack.ss_sp = static_cast<void*>(handler_stack);
  stack.ss_size = sizeof handler_stack;
  NATIVO_CHECK(sigaltstack(&stack, nullptr) == 0, "the handler's stack is refused");
}

void handle(int signal_number) {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_ONSTACK | SA_RESTART;
  sigaction(signal_number, &action, nullptr);
}

}  // namespace

void install_signal_handlers() {
  use_handler_stack();
  handle(SIGINT);
  handle(SIGTERM);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
}

void release_signal_handlers() {
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  signal_received = 0;
}

bool interrupted() noexcept { return signal_received != 0; }

void stop_if_interrupted() {
  if (interrupted()) {
    throw Error(ExitCode::kTryAgain, "interrupted", "run the same command again to continue");
  }
}

}  // namespace nativo
