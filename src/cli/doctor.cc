// nativo doctor: what this machine has, and what is missing.
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "base/parallel.h"
#include "base/strings.h"
#include "cli/verb.h"
#include "translate/engine_factory.h"
#include "translate/translate_stage.h"

namespace nativo::cli {
namespace {

/// The value of the first "key : value" line of a /proc file.
std::string proc_value(const char* file, const std::string& key) {
  std::ifstream stream(file);
  std::string line;
  while (std::getline(stream, line)) {
    if (!line.starts_with(key)) continue;
    const std::size_t colon = line.find(':');
    if (colon != std::string::npos)
      return std::string(trim(std::string_view(line).substr(colon + 1)));
  }
  return {};
}

std::string cpu_features() {
  const std::string flags = " " + proc_value("/proc/cpuinfo", "flags") + " ";
  std::string found;
  for (const char* flag : {"avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_tile"}) {
    if (flags.find(fmt::format(" {} ", flag)) != std::string::npos)
      found += fmt::format(" {}", flag);
  }
  return found.empty() ? " no vector extensions beyond the baseline: training will be slow" : found;
}

std::string memory() {
  const auto bytes = [](const std::string& value) {
    return std::strtod(value.c_str(), nullptr) * 1024.0;
  };
  return fmt::format("{} of {} available",
                     human_bytes(bytes(proc_value("/proc/meminfo", "MemAvailable"))),
                     human_bytes(bytes(proc_value("/proc/meminfo", "MemTotal"))));
}

std::string disk() {
  struct statvfs status {};
  if (::statvfs(".", &status) != 0) return "unknown";
  return human_bytes(static_cast<double>(status.f_bavail) * static_cast<double>(status.f_frsize)) +
         " free in the current folder";
}

void line(bool good, const char* what, const std::string& found) {
  fmt::print("{} {:<12} {}\n", good ? "ok  " : "MISS", what, printable(found));
}

}  // namespace

void add_doctor(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("doctor", "show what this machine has, and what is missing");
  verb->callback([] {
    line(true, "nativo", NATIVO_VERSION);
    line(true, "processor",
         proc_value("/proc/cpuinfo", "model name") + ", " +
             fmt::format("{} threads,", thread_count()) + cpu_features());
    line(true, "memory", memory());
    line(true, "disk", disk());
    const std::optional<Error> no_apertium = translate::engine_unavailable("apertium", {}, "it");
    line(!no_apertium, "translation",
         no_apertium ? std::string(no_apertium->what()) : "apertium: English, Spanish, Italian");
    const bool driver = std::filesystem::exists("/proc/driver/nvidia/version");
    fmt::print("--   {:<12} {}\n", "gpu",
               driver ? "an NVIDIA driver is there, but this build computes on the processor only"
                      : "none; this build computes on the processor");
    if (no_apertium) fmt::print("\nInstall what is missing: tools/install_packages\n");
  });
}

}  // namespace nativo::cli
