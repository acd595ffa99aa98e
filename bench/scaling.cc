// How far `nativo plan --simulate` is off: a node of this machine's cores is calibrated on one
// model, one core alone and all of them busy, and collectives on two ranks; then steps of other
// models on 1, 2, 4 and 8 ranks are predicted and measured.
//   bench/scaling        (the driver)
//   [mpirun -n CORES] scaling calibrate   prints rates of the arithmetic and the update: of a core
//                                         alone, or beside the others, each training by itself
//   mpirun -n 2 scaling links          prints those of collectives
//   [mpirun -n N] scaling step DEVICES.toml MODEL    prints a line: predicted, measured, error
// Every rank has one thread. Ranks beyond the cores share them.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/parallel.h"
#include "bench/workload.h"
#include "dist/grid.h"
#include "dist/world.h"
#include "io/file.h"
#include "model/decoder.h"
#include "train/data_parallel.h"
#include "train/devices.h"
#include "train/flops.h"
#include "train/optimizer.h"
#include "train/trainer.h"

namespace {

using namespace nativo;
using bench::config_of;
using bench::examples_of;
using bench::median;
using bench::options_of;
using bench::Workload;
namespace fs = std::filesystem;

constexpr int kSteps = 15;
constexpr int kRepeats = 9;

/// The first is for calibration alone.
constexpr Workload kWorkloads[] = {{"calibration", 256, 4, 2048, 128, 8},
                                   {"narrow", 192, 6, 4096, 64, 16},
                                   {"wide", 384, 3, 4096, 128, 8},
                                   {"deep", 256, 8, 8192, 256, 8}};

/// Seconds of a step of a real training: of `ranks` that train together (null = this process
/// alone), on the first. The median without the first two.
double measure_step(const Workload& work, dist::Communicator* ranks) {
  const fs::path dir =
      fs::temp_directory_path() /
      fmt::format("nativo-bench-scaling{}", ranks == nullptr ? fmt::format("-{}", ::getpid()) : "");
  if (ranks == nullptr || ranks->is_root()) fs::remove_all(dir);
  if (ranks != nullptr) ranks->barrier();
  model::Decoder decoder(config_of(work));
  decoder.initialize(1);
  dist::Grid grid(ranks, 1);
  train::TrainInput input{.decoder = decoder,
                          .train = examples_of(work),
                          .options = options_of(work, kSteps),
                          .dir = dir,
                          .key = "bench",
                          .label = "bench",
                          .disk = io::posix_disk(),
                          .should_stop = {}};
  input.grid = &grid;
  static_cast<void>(train::train(input));
  if (ranks != nullptr && !ranks->is_root()) return 0.0;
  const double seconds = median(bench::step_seconds(dir, work));
  fs::remove_all(dir);
  return seconds;
}

double measure(const std::function<void()>& body) {
  std::vector<double> seconds;
  for (int i = 0; i <= kRepeats; ++i) {
    const double start = monotonic_seconds();
    body();
    if (i > 0) seconds.push_back(monotonic_seconds() - start);
  }
  return median(seconds);
}

/// The rates of a core while as many others do the same as there are ranks: alone, or beside busy
/// ones.
void calibrate(dist::Communicator& ranks) {
  const Workload& work = kWorkloads[0];
  const model::DecoderConfig config = config_of(work);
  model::Decoder decoder(config);
  decoder.initialize(1);
  decoder.enable_gradients(model::GradientMemory::kApart);
  train::DataParallel alone(nullptr, decoder, 0);
  train::Optimizer optimizer(
      std::as_const(decoder).parameters(),
      {.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip_norm = 1.0});
  std::int64_t step = 0;
  ranks.barrier();
  // With what else passes over all gradients: they are cleared, and their norm is taken.
  const double update = measure([&] {
    decoder.zero_gradients();
    const double norm = alone.gradient_norm();
    optimizer.update(decoder.trainable(), alone.updated_gradients(), ++step, 1e-4, norm + 1.0);
  });
  ranks.barrier();
  const double seconds = measure_step(work, nullptr);
  const double mine[] = {update, seconds};
  const std::vector<double> all = dist::all_gather_numbers(ranks, mine);
  if (!ranks.is_root()) return;
  double updates = 0.0;
  double steps = 0.0;
  for (std::size_t i = 0; i < all.size(); i += 2) {
    updates += all[i] / ranks.size();
    steps += all[i + 1] / ranks.size();
  }
  const auto length = static_cast<double>(work.length);
  const double flops =
      static_cast<double>(work.rows) *
      train::step_flops(config, 0.0, {length, length, train::keys_seen(config, work.length)});
  const double bytes = 32.0 * static_cast<double>(config.parameter_count());  // see scaling.cc
  const char* when = ranks.size() == 1 ? "_alone" : "";
  fmt::print("tflops{} = {:.4f}\nupdate_gbs{} = {:.2f}\n", when, flops / (steps - updates) * 1e-12,
             when, bytes / updates * 1e-9);
}

void links(dist::Communicator& ranks) {
  constexpr std::size_t kCount = std::size_t{1} << 23;  // 32 MiB
  const auto memory = ranks.allocate(kCount * sizeof(float), "a benchmark");
  const std::span<float> values(reinterpret_cast<float*>(memory.data()), kCount);
  const auto parts = dist::even_parts(kCount, ranks.size());
  std::ranges::fill(values, 0.0F);
  const double sum = measure([&] { ranks.reduce_scatter(values, parts); });
  std::vector<double> few(8);
  const double small = measure([&] {
    for (int i = 0; i < 100; ++i) ranks.all_reduce(std::span(few));
  });
  if (!ranks.is_root()) return;
  const double others = static_cast<double>(ranks.size() - 1);
  fmt::print("node_gbs = {:.2f}\nnode_latency_us = {:.1f}\n", others * 4.0 * kCount / sum * 1e-9,
             small / 100.0 * 1e6);
}

void step(const fs::path& devices, const std::string& name, dist::Communicator& ranks) {
  const auto work =
      std::ranges::find_if(kWorkloads, [&](const Workload& each) { return name == each.name; });
  if (work == std::end(kWorkloads)) throw Error(ExitCode::kUsage, "no such model: " + name);
  train::Cluster cluster;
  cluster.device = train::find_device(train::read_devices(devices), "here");
  cluster.ranks_per_node = ranks.size();
  const train::ScalingEstimate estimate =
      train::estimate_step(config_of(*work), options_of(*work, kSteps), {}, {}, cluster);
  const double measured = measure_step(*work, &ranks);
  if (!ranks.is_root()) return;
  fmt::print("{:<12} {:>5} {:>10.1f} {:>9.1f} {:>+8.0f} %\n", name, ranks.size(),
             1e3 * estimate.time.step, 1e3 * measured,
             100.0 * (estimate.time.step / measured - 1.0));
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  try {
    set_thread_count(1);
    const auto ranks = dist::connect();
    if (arguments.size() == 1 && arguments[0] == "calibrate") {
      calibrate(*ranks);
    } else if (arguments.size() == 1 && arguments[0] == "links" && ranks->size() > 1) {
      links(*ranks);
    } else if (arguments.size() == 3 && arguments[0] == "step") {
      step(arguments[1], arguments[2], *ranks);
    } else {
      fmt::print(stderr, "usage: scaling calibrate | links | step DEVICES.toml MODEL\n");
      return static_cast<int>(ExitCode::kUsage);
    }
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
  }
}
