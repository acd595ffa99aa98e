#include "launch/slurm.h"

#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::launch {
namespace {

[[noreturn]] void fail_without(const std::string& program) {
  throw Error(ExitCode::kMissingInput,
              program + ": not found: this machine has no Slurm, or not in PATH",
              "run on a login node of the cluster, or locally with --ranks");
}

Output ask(const Words& command) {
  Output output = run_command(command, kSlurmSeconds);
  if (output.status == 127) fail_without(command.front());
  return output;
}

std::string first_line(const std::string& text) {
  return std::string(trim(std::string_view(text).substr(0, text.find('\n'))));
}

}  // namespace

std::optional<std::string> scontrol_value(std::string_view answer, std::string_view key) {
  const std::string wanted = std::string(key) + "=";
  for (std::size_t at = 0; at < answer.size();) {
    const std::size_t end = std::min(answer.find_first_of(" \n", at), answer.size());
    const std::string_view word = answer.substr(at, end - at);
    if (word.starts_with(wanted)) {
      const std::string_view value = word.substr(wanted.size());
      if (value.empty() || value == "(null)") return std::nullopt;
      return std::string(value);
    }
    at = end + 1;
  }
  return std::nullopt;
}

std::optional<double> test_only_start(std::string_view answer) {
  constexpr std::string_view kWords = " to start at ";
  const std::size_t at = answer.find(kWords);
  if (at == std::string_view::npos) return std::nullopt;
  answer.remove_prefix(at + kWords.size());
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(answer.data(), answer.data() + answer.size(), seconds);
  if (error != std::errc() || end == answer.data() + answer.size() || *end != ' ') {
    return std::nullopt;
  }
  return static_cast<double>(seconds);
}

JobState job_state(const std::string& job) {
  const Output queue =
      ask({"squeue", "--noheader", "--states=all", "--jobs=" + job, "--format=%T|%N|%r"});
  if (queue.ok() && !trim(queue.out).empty()) {
    const std::string line = first_line(queue.out);
    const std::vector<std::string_view> parts = split(line, '|');
    if (parts.size() == 3) {
      return {.state = std::string(parts[0]),
              .nodes = std::string(parts[1]),
              .reason = parts[0] == "PENDING" ? std::string(parts[2]) : ""};
    }
  }
  const Output over = run_command({"sacct", "--noheader", "--parsable2", "--allocations",
                                   "--jobs=" + job, "--format=State,NodeList"},
                                  kSlurmSeconds);
  if (over.ok() && !trim(over.out).empty()) {
    const std::string line = first_line(over.out);
    const std::vector<std::string_view> parts = split(line, '|');
    return {.state = std::string(parts[0]),
            .nodes = parts.size() > 1 ? std::string(parts[1]) : "",
            .reason = {}};
  }
  return {.state = "UNKNOWN", .nodes = {}, .reason = {}};
}

std::vector<std::string> expand_nodes(const std::string& nodes) {
  std::vector<std::string> names;
  if (nodes.empty()) return names;
  const Output output = ask({"scontrol", "show", "hostnames", nodes});
  if (!output.ok()) {
    throw Error(ExitCode::kTryAgain, "scontrol show hostnames: " + printable(trim(output.err)));
  }
  for (const std::string_view line : split(output.out, '\n')) {
    if (!trim(line).empty()) names.emplace_back(trim(line));
  }
  return names;
}

void require_slurm() {
  const char* path = std::getenv("PATH");
  for (const std::string_view folder : split(path == nullptr ? "" : path, ':')) {
    if (::access((std::filesystem::path(folder) / "sbatch").c_str(), X_OK) == 0) return;
  }
  fail_without("sbatch");
}

std::string submit_script(const std::string& script, const std::string& after) {
  Words command = {"sbatch", "--parsable"};
  if (!after.empty()) {
    command.push_back("--dependency=" + after);
    command.emplace_back("--kill-on-invalid-dep=yes");
  }
  command.push_back(script);
  const Output output = ask(command);
  const std::string line = first_line(output.out);
  const std::string job = line.substr(0, line.find(';'));
  if (!output.ok() || job.empty()) {
    throw Error(ExitCode::kTryAgain,
                output.timed_out ? std::string("sbatch did not answer")
                                 : "sbatch refused the script: " + printable(trim(output.err)),
                "the script is " + printable(script) + "; [slurm] says what stands in it");
  }
  return job;
}

bool signal_batch(const std::string& job, const std::string& signal) {
  return ask({"scancel", "--batch", "--signal=" + signal, job}).ok();
}

void cancel_job(const std::string& job) {
  const Output output = ask({"scancel", job});
  if (output.ok()) return;
  throw Error(ExitCode::kTryAgain, "scancel: " + printable(trim(output.err)));
}

}  // namespace nativo::launch
