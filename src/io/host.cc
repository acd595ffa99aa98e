#include "io/host.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace nativo::io {

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown-host";
  std::string host(name.data());
  for (char& c : host) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!plain && c != '.') c = '-';
  }
  return host;
}

bool is_gone(int process) { return process > 0 && ::kill(process, 0) != 0 && errno == ESRCH; }

}  // namespace nativo::io
