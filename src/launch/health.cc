#include "launch/health.h"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <ctime>
#include <fstream>

#include "base/clock.h"
#include "base/error.h"
#include "base/strings.h"
#include "io/file.h"
#include "launch/journal.h"
#include "launch/nodes.h"
#include "launch/process.h"

namespace nativo::launch {
namespace {

namespace fs = std::filesystem;

constexpr double kGib = 1024.0 * 1024.0 * 1024.0;

Check memory_check(double least) {
  std::ifstream stream("/proc/meminfo");
  std::string line;
  double available = 0.0;
  while (std::getline(stream, line)) {
    if (line.starts_with("MemAvailable:"))
      available = 1024.0 * std::strtod(line.c_str() + 13, nullptr);
  }
  return {
      .name = "memory",
      .good = available >= least,
      .found = fmt::format("{} available, {} wanted", human_bytes(available), human_bytes(least)),
      .value = available};
}

Check space_check(const fs::path& run, double least) {
  struct statvfs status {};
  Check check{.name = "disk", .shared = true, .found = {}};
  if (::statvfs(run.c_str(), &status) != 0) {
    // One node that does not see the file system is that node's fault.
    check.shared = false;
    check.good = false;
    check.found = fmt::format("{}: {}", printable(run.native()), std::strerror(errno));
    return check;
  }
  check.value = static_cast<double>(status.f_bavail) * static_cast<double>(status.f_frsize);
  check.good = check.value >= least;
  check.found = fmt::format("{} free, {} wanted", human_bytes(check.value), human_bytes(least));
  return check;
}

/// Writes and reads back a small file; its time stamp is the file server's clock.
void write_checks(const fs::path& run, double most_skew, std::vector<Check>& checks) {
  const fs::path file = run / fmt::format(".health-{}-{}", host_name(), ::getpid());
  Check write{.name = "write", .found = "a file was written and read back"};
  Check clock{.name = "clock", .found = {}};
  try {
    const double begun = monotonic_seconds();
    const std::string text = fmt::format("{} {}\n", host_name(), unix_seconds());
    io::write_file_atomically(file, text);
    const double now = unix_seconds();
    if (io::read_file(file) != text) {
      write.good = false;
      write.found = "a file did not come back as it was written";
    }
    write.value = monotonic_seconds() - begun;
    clock.value = now - change_time(file).value_or(now);
    clock.good = std::fabs(clock.value) <= most_skew;
    clock.found =
        fmt::format("{:+.2f} s from the file server's, {} s allowed", clock.value, most_skew);
  } catch (const Error& error) {
    write.good = false;
    // No space is everybody's; a file system that cannot be written from here is the node's.
    write.shared = error.code() == ExitCode::kTryAgain;
    write.found = error.what();
    clock.found = "not known";
  }
  std::error_code ignored;
  fs::remove(file, ignored);
  checks.push_back(std::move(write));
  checks.push_back(std::move(clock));
}

Check bandwidth_check() {
  constexpr std::size_t kBytes = std::size_t{32} << 20;
  std::vector<char> from(kBytes, 1);
  std::vector<char> to(kBytes, 2);
  double best = 1e30;
  bool equal = true;
  const double until = monotonic_seconds() + kMeasureSeconds;
  for (int round = 0; round < 3 || monotonic_seconds() < until; ++round) {
    std::fill(from.begin(), from.end(), static_cast<char>(3 + round));
    const double begun = thread_seconds();
    std::memcpy(to.data(), from.data(), kBytes);
    best = std::min(best, thread_seconds() - begun);
    equal = equal && std::memcmp(from.data(), to.data(), kBytes) == 0;
  }
  const double rate = 2.0 * static_cast<double>(kBytes) / std::max(best, 1e-9);
  return {.name = "bandwidth",
          .good = equal,
          .found = equal ? fmt::format("{:.1f} GiB/s", rate / kGib)
                         : std::string("memory did not come back as it was written"),
          .value = rate};
}

Check arithmetic_check(const Arithmetic& arithmetic) {
  Check check{.name = "arithmetic", .found = {}};
  check.found = arithmetic(check.value);
  check.good = check.found.empty();
  if (check.good) check.found = fmt::format("right, {:.1f} Gop/s", check.value * 1e-9);
  return check;
}

void gpu_checks(std::int64_t wanted, std::vector<Check>& checks) {
  const Output answer =
      run_command({"nvidia-smi", "--query-gpu=index,name,ecc.errors.uncorrected.volatile.total",
                   "--format=csv,noheader,nounits"},
                  8.0);
  if (answer.status == 127 && wanted == 0) return;
  std::int64_t seen = 0;
  std::string broken;
  for (const std::string_view line : split(answer.out, '\n')) {
    const std::vector<std::string_view> parts = split(line, ',');
    if (!answer.ok() || parts.size() < 3) continue;
    ++seen;
    const std::string_view errors = trim(parts[2]);
    std::int64_t count = 0;
    std::from_chars(errors.data(), errors.data() + errors.size(), count);  // "[N/A]" stays 0
    if (count > 0) broken += fmt::format(", GPU {} has {} memory errors", trim(parts[0]), count);
  }
  checks.push_back({.name = "gpu",
                    .good = seen >= wanted && broken.empty() && (answer.ok() || wanted == 0),
                    .found = printable(fmt::format("{} of {} GPUs{}", seen, wanted, broken)),
                    .value = static_cast<double>(seen)});
}

bool all_good(const std::vector<Check>& checks, bool shared) {
  return std::ranges::all_of(
      checks, [&](const Check& check) { return check.good || check.shared != shared; });
}

}  // namespace

double thread_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

bool Health::node_is_good() const { return all_good(checks, /*shared=*/false); }
bool Health::shared_is_good() const { return all_good(checks, /*shared=*/true); }

std::string Health::complaint() const {
  std::string text;
  for (const Check& check : checks) {
    if (check.good) continue;
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", printable(check.name),
                        printable(check.found));
  }
  return text;
}

Health check_node(const HealthLimits& limits, const Arithmetic& arithmetic) {
  Health health{.node = host_name(), .checks = {}};
  health.checks.push_back(memory_check(limits.memory));
  if (!limits.run.empty()) {
    health.checks.push_back(space_check(limits.run, limits.disk));
    write_checks(limits.run, limits.clock_skew, health.checks);
  }
  health.checks.push_back(arithmetic_check(arithmetic));
  health.checks.push_back(bandwidth_check());
  gpu_checks(limits.gpus, health.checks);
  return health;
}

Json to_json(const Health& health) {
  Json checks = Json::array();
  for (const Check& check : health.checks) {
    checks.push_back({{"name", check.name},
                      {"good", check.good},
                      {"shared", check.shared},
                      {"found", check.found},
                      {"value", check.value}});
  }
  return {{"node", health.node},
          {"good", health.node_is_good() && health.shared_is_good()},
          {"checks", std::move(checks)}};
}

Health parse_health(const std::string& text) {
  try {
    const Json json = parse_json(text, "health");
    Health health{.node = json.at("node").get<std::string>(), .checks = {}};
    for (const Json& check : json.at("checks")) {
      health.checks.push_back({.name = check.at("name").get<std::string>(),
                               .good = check.at("good").get<bool>(),
                               .shared = check.at("shared").get<bool>(),
                               .found = check.at("found").get<std::string>(),
                               .value = check.at("value").get<double>()});
    }
    return health;
  } catch (const Json::exception& error) {
    throw Error(ExitCode::kData, std::string("not a node's health: ") + error.what());
  }
}

void compare_nodes(std::vector<Health>& nodes) {
  for (const char* name : {"bandwidth", "arithmetic"}) {
    const auto find = [&](Health& health) {
      return std::ranges::find(health.checks, name, &Check::name);
    };
    std::vector<double> rates;
    for (Health& health : nodes) {
      if (const auto check = find(health); check != health.checks.end())
        rates.push_back(check->value);
    }
    if (rates.size() < 3) continue;
    std::ranges::sort(rates);
    const double median = rates[rates.size() / 2];
    for (Health& health : nodes) {
      const auto check = find(health);
      if (check == health.checks.end() || check->value >= 0.5 * median) continue;
      check->good = false;
      check->found += fmt::format(", the others' median is {:.3g} times that",
                                  median / std::max(check->value, 1e-9));
    }
  }
}

}  // namespace nativo::launch
