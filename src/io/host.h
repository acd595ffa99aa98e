// Which machine this is, and which of its processes are no more.
#pragma once

#include <string>

namespace nativo::io {

/// Name of this machine, fit for a file's name; "unknown-host" when it has none.
[[nodiscard]] std::string host_name();

/// True when it is certain that no process of this machine has this number.
[[nodiscard]] bool is_gone(int process);

}  // namespace nativo::io
