// Where a process that hangs is: its stacks, as far as this machine lets us see them.
#pragma once

#include <sys/types.h>

#include <string>

namespace nativo::launch {

/// The stacks of all threads of `pid` by gdb or eu-stack, where one is installed and allowed, and
/// what the kernel says of each thread (/proc: state, wchan, system call, kernel stack). Never
/// fails: what cannot be had is left out.
[[nodiscard]] std::string describe_process(pid_t pid);

}  // namespace nativo::launch
