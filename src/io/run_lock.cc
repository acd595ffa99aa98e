#include "io/run_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "base/strings.h"
#include "io/descriptor.h"
#include "io/file.h"
#include "io/host.h"

namespace nativo::io {
namespace {

/// What the holder wrote about itself; it may be writing just now, and anybody may edit the file.
std::string describe_holder(const Descriptor& file, const fs::path& path) {
  std::array<char, 512> content{};
  const std::size_t size = read_fully(file, content, path);
  const std::string_view text = trim(std::string_view(content.data(), size));
  return text.empty() ? "another process" : printable(replace_all(text, "\n", ", "));
}

}  // namespace

struct RunLock::State {
  State(const fs::path& folder, const fs::path& path, Kind lock_kind)
      : kind(lock_kind), file(path, O_RDWR | O_CREAT, "open") {
    const int how = kind == Kind::kAlone ? LOCK_EX : LOCK_SH;
    while (::flock(file.get(), how | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) throw errno_error(errno, "lock", path.native());
      throw Error(ExitCode::kLocked,
                  fmt::format("{}: the run folder is locked by {}", folder.native(),
                              describe_holder(file, path)),
                  "wait until that run ends or stop it; one run at a time writes to a run folder");
    }
    if (kind == Kind::kTogether) return;
    const std::string owner =
        fmt::format("host {}, pid {}, since {}\n", host_name(), ::getpid(), utc_now());
    const bool written =
        ::ftruncate(file.get(), 0) == 0 &&
        ::pwrite(file.get(), owner.data(), owner.size(), 0) == static_cast<ssize_t>(owner.size());
    if (!written) throw errno_error(errno, "write", path.native());
  }
  ~State() {
    if (kind == Kind::kTogether) return;
    if (::ftruncate(file.get(), 0) != 0) return;  // only the message of the next conflict suffers
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Kind kind;
  Descriptor file;  ///< closing it frees the lock
};

RunLock::RunLock(const std::filesystem::path& folder, Kind kind) {
  posix_disk().make_folders(folder);
  const char* held = std::getenv(kLockHeldVariable);
  if (held != nullptr && fs::weakly_canonical(folder) == held) return;
  state_ = std::make_unique<State>(folder, folder / "run.lock", kind);
}
RunLock::~RunLock() = default;
RunLock::RunLock(RunLock&&) noexcept = default;
RunLock& RunLock::operator=(RunLock&&) noexcept = default;

}  // namespace nativo::io
