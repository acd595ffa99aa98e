#include "launch/stacks.h"

#include <fmt/format.h>

#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "io/file.h"
#include "launch/process.h"

namespace nativo::launch {
namespace {

namespace fs = std::filesystem;

constexpr double kDebuggerSeconds = 8.0;

std::string content(const fs::path& file) {
  try {
    return io::read_file(file, 1 << 16);
  } catch (const Error&) {
    return {};
  }
}

/// The line of /proc/PID/status that begins with `key`.
std::string status_line(const std::string& status, std::string_view key) {
  for (const std::string_view line : split(status, '\n')) {
    if (line.starts_with(key)) return std::string(line);
  }
  return {};
}

}  // namespace

std::string describe_process(pid_t pid) {
  const std::string number = std::to_string(pid);
  std::string text =
      fmt::format("process {}: {}\n", pid,
                  printable(replace_all(content(fs::path("/proc") / number / "cmdline"),
                                        std::string_view("\0", 1), " ")));
  std::error_code error;
  const fs::path tasks = fs::path("/proc") / number / "task";
  for (fs::directory_iterator task(tasks, error); !error && task != fs::directory_iterator();
       task.increment(error)) {
    const std::string status = content(task->path() / "status");
    text += fmt::format("thread {}: {}; waits in {}; system call {}",
                        task->path().filename().native(), status_line(status, "State:"),
                        content(task->path() / "wchan"), content(task->path() / "syscall"));
    if (!text.ends_with('\n')) text += '\n';
    text += content(task->path() / "stack");
  }
  const std::vector<Words> debuggers = {
      {"gdb", "--batch", "--nx", "-p", number, "-ex", "thread apply all backtrace 40"},
      {"eu-stack", "-p", number}};
  for (const Words& debugger : debuggers) {
    const Output stacks = run_command(debugger, kDebuggerSeconds);
    if (stacks.status == 127 || stacks.out.find("#0") == std::string::npos) continue;
    return text + "\n" + debugger.front() + ":\n" + stacks.out;
  }
  return text;
}

}  // namespace nativo::launch
