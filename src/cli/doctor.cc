// nativo doctor: what this machine has, and what is missing; with --node, whether it is fit to
// train now, as a supervisor asks it of every node.
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/strings.h"
#include "cli/verb.h"
#include "launch/health.h"
#include "ops/gemm.h"
#include "tensor/device_memory.h"
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

void line(bool good, const std::string& what, const std::string& found) {
  fmt::print("{} {:<12} {}\n", good ? "ok  " : "MISS", what, printable(found));
}

/// A product of matrices of small whole numbers, which float arithmetic gives exactly. "" when it
/// came out.
std::string known_product(double& rate) {
  constexpr std::int64_t kSize = 384;
  const auto number = [](std::int64_t row, std::int64_t column, std::int64_t salt) {
    return (row * 7 + column * 13 + salt) % 11 - 5;
  };
  std::vector<float> x(kSize * kSize);
  std::vector<float> weight(kSize * kSize);
  std::vector<float> y(kSize * kSize);
  for (std::int64_t i = 0; i < kSize * kSize; ++i) {
    const auto at = static_cast<std::size_t>(i);
    x[at] = static_cast<float>(number(i / kSize, i % kSize, 1));
    weight[at] = static_cast<float>(number(i / kSize, i % kSize, 4));
  }
  const auto view = [](auto& values) { return tensor::View(values.data(), {kSize, kSize}); };
  double best = 1e30;
  const double until = monotonic_seconds() + launch::kMeasureSeconds;
  for (int round = 0; round < 3 || monotonic_seconds() < until; ++round) {
    const double begun = launch::thread_seconds();
    ops::linear_forward(view(std::as_const(x)), view(std::as_const(weight)), view(y));
    best = std::min(best, launch::thread_seconds() - begun);
    for (std::int64_t row = 0; row < kSize; ++row) {
      for (std::int64_t column = 0; column < kSize; column += 37) {
        std::int64_t sum = 0;
        for (std::int64_t k = 0; k < kSize; ++k) sum += number(row, k, 1) * number(column, k, 4);
        const float got = y[static_cast<std::size_t>(row * kSize + column)];
        if (got == static_cast<float>(sum)) continue;
        return fmt::format("a matrix product gave {} in place of {}", got, sum);
      }
    }
  }
  rate = 2.0 * kSize * kSize * kSize / std::max(best, 1e-9);
  return {};
}

/// --node and what belongs to it.
struct NodeArguments {
  bool node = false;
  std::string run;
  launch::HealthLimits limits;
};

void check_this_node(NodeArguments& arguments) {
  arguments.limits.run = arguments.run;
  const launch::Health health = launch::check_node(arguments.limits, known_product);
  fmt::print("{}\n", dump_json(launch::to_json(health)));
}

}  // namespace

void add_doctor(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("doctor", "show what this machine has, and what is missing");
  const auto node = std::make_shared<NodeArguments>();
  verb->add_flag("--node", node->node, "check in a second whether it is fit to train; prints JSON");
  verb->add_option("--run", node->run, "run folder to check space, writing and clock in (--node)")
      ->type_name("DIR");
  verb->add_option("--min-disk", node->limits.disk, "bytes that must be free there (--node)");
  verb->add_option("--min-memory", node->limits.memory, "bytes that must be available (--node)");
  verb->add_option("--max-clock-skew", node->limits.clock_skew,
                   "seconds between this clock and the file server's (--node)")
      ->capture_default_str();
  verb->add_option("--gpus", node->limits.gpus, "GPUs that must be there (--node)");
  verb->callback([node] {
    if (node->node) return check_this_node(*node);
    line(true, "nativo", NATIVO_VERSION);
    line(true, "processor",
         proc_value("/proc/cpuinfo", "model name") + ", " +
             fmt::format("{} threads,", thread_count()) + cpu_features());
    line(true, "memory", memory());
    line(true, "disk", disk());
    const std::optional<Error> no_apertium = translate::engine_unavailable("apertium", {}, "it");
    line(!no_apertium, "translation",
         no_apertium ? std::string(no_apertium->what()) : "apertium: English, Spanish, Italian");
    const int gpus = tensor::gpu_count();
    for (int i = 0; i < gpus; ++i) {
      const tensor::GpuFacts facts = tensor::gpu_facts(tensor::Device::cuda(i));
      line(true, fmt::format("cuda:{}", i),
           fmt::format("{}, {} of {} available", facts.name,
                       human_bytes(static_cast<double>(facts.available)),
                       human_bytes(static_cast<double>(facts.memory))));
    }
    if (gpus == 0) fmt::print("--   {:<12} none: {}\n", "gpu", tensor::why_no_gpu());
    if (no_apertium) fmt::print("\nInstall what is missing: tools/install_packages\n");
  });
}

}  // namespace nativo::cli
