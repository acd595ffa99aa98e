// What a training on several ranks waits for: checkpoints, and collectives that its arithmetic does
// not hide.
//   bench/ranks          (the driver)
//   [mpirun -n N] ranks KEY=VALUE...     prints a line; without arguments: a header
// width, layers, vocabulary, length, rows (of a step), micro, steps; zero, tensor, gradients (f32
// or bf16); every = steps between checkpoints, copies = steps between copies in memory, 0 = none;
// dir = where checkpoints go. Every rank has `threads` (1).
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "base/strings.h"
#include "bench/workload.h"
#include "dist/grid.h"
#include "dist/world.h"
#include "model/decoder.h"
#include "train/data_parallel.h"
#include "train/trainer.h"

namespace {

using namespace nativo;
namespace fs = std::filesystem;

using Settings = std::map<std::string, std::string>;

Settings settings_of(int argc, char** argv) {
  Settings settings{
      {"width", "768"},       {"layers", "8"},
      {"vocabulary", "8192"}, {"length", "256"},
      {"rows", "8"},          {"micro", "2"},
      {"steps", "12"},        {"zero", "1"},
      {"tensor", "1"},        {"every", "0"},
      {"copies", "0"},        {"threads", "1"},
      {"gradients", "f32"},   {"dir", (fs::temp_directory_path() / "nativo-bench-ranks").native()}};
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos || !settings.contains(word.substr(0, equals))) {
      throw Error(ExitCode::kUsage, "no such setting: " + word);
    }
    settings[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return settings;
}

struct Times {
  double step = 0.0;       ///< the median's seconds
  double all_steps = 0.0;  ///< of all, their mean
  double stall = 0.0;      ///< of a checkpoint, the median's seconds; 0 = there was none
  double gathers = 0.0;    ///< seconds of all steps that this rank waited for layers
  double sums = 0.0;       ///< for gradients
};

Times train_once(const Settings& settings, dist::Communicator& world) {
  const auto number = [&](const char* name) -> std::int64_t {
    return std::stoll(settings.at(name));
  };
  const bench::Workload work{"",
                             number("width"),
                             number("layers"),
                             number("vocabulary"),
                             number("length"),
                             number("rows")};
  const fs::path dir = settings.at("dir");
  if (world.is_root()) fs::remove_all(dir);
  world.barrier();
  dist::Grid grid(&world, number("tensor"));
  model::Decoder decoder(bench::config_of(work), {}, train::decoder_ranks(grid, number("zero")));
  decoder.initialize(1);
  train::DistOptions how;
  how.zero = number("zero");
  how.tensor = number("tensor");
  how.gradient_type = settings.at("gradients");
  how.neighbour_every = number("copies");
  train::TrainInput input{.decoder = decoder,
                          .train = bench::examples_of(work),
                          .options = bench::options_of(work, number("steps")),
                          .dir = dir,
                          .key = "bench",
                          .label = "bench",
                          .grid = &grid,
                          .dist = how,
                          .disk = io::posix_disk(),
                          .should_stop = {}};
  input.options.micro_batch = number("micro");
  input.options.checkpoint_every = number("every");
  const train::TrainResult result = train::train(input);
  Times times{.gathers = grid.data().waited(dist::OperationKind::kAllGather),
              .sums = grid.data().waited(dist::OperationKind::kReduceScatter) +
                      grid.data().waited(dist::OperationKind::kAllReduce)};
  if (!world.is_root()) return times;
  const std::vector<double> seconds = bench::step_seconds(dir, work);
  times.step = bench::median(seconds);
  for (const double each : seconds) times.all_steps += each / static_cast<double>(seconds.size());
  times.gathers /= result.step_seconds;
  times.sums /= result.step_seconds;
  std::vector<double> stalls;
  for (const Json& event : bench::lines_of(dir / "events.jsonl")) {
    // The last one of a training waits: there is nothing to go on with.
    if (event.at("event") != "checkpoint" || event.at("step") == number("steps")) continue;
    stalls.push_back(event.at("stall_seconds").get<double>());
  }
  times.stall = bench::median(stalls);
  fs::remove_all(dir);
  const double every = static_cast<double>(number("every"));
  fmt::print(
      "{:>7.1f} {:>5} {:>5} {:>4} {:>6} {:>9.1f} {:>9.1f} {:>9.1f} {:>8.1f}% {:>9.2f}% "
      "{:>8.1f}% {:>8.1f}%\n",
      static_cast<double>(bench::config_of(work).parameter_count()) * 1e-6, world.size(),
      world.place().nodes, number("zero"), number("tensor"), 1e3 * times.step,
      1e3 * times.all_steps, 1e3 * times.stall, 100.0 * times.stall / times.step,
      every > 0.0 ? 100.0 * times.stall / (every * times.step) : 0.0, 100.0 * times.gathers,
      100.0 * times.sums);
  return times;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 1) {
      fmt::print("{:>7} {:>5} {:>5} {:>4} {:>6} {:>9} {:>9} {:>9} {:>9} {:>10} {:>9} {:>9}\n",
                 "M par.", "ranks", "nodes", "zero", "tensor", "step, ms", "mean, ms", "stall, ms",
                 "of a step", "of the run", "gathers", "sums");
      return 0;
    }
    const Settings settings = settings_of(argc, argv);
    set_thread_count(std::stoi(settings.at("threads")));
    const auto ranks = dist::connect();
    static_cast<void>(train_once(settings, *ranks));
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
  }
}
