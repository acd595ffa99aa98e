// Ctrl-C and SIGTERM as a question that long jobs ask at safe places. The second signal kills.
#pragma once

namespace nativo {

/// From now on SIGINT and SIGTERM only set a flag, once; the next one ends the process at once.
/// Call it on the main thread, whose handler then runs on a stack of its own. Also ignores SIGPIPE and SIGXFSZ, so that failed writes come back as errors.
void install_signal_handlers();

/// Gives SIGINT and SIGTERM their default action back and forgets a signal that came: for programs
/// that outlive Ctrl-C, such as a chat whose answer was stopped.
void release_signal_handlers();

/// True once a signal came.
[[nodiscard]] bool interrupted() noexcept;

/// Throws Error(kTryAgain, "interrupted…") once a signal came. Call between units of work that have
/// been saved.
void stop_if_interrupted();

}  // namespace nativo
