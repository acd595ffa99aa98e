// nativo bench step: how fast this machine trains a model of some shape, and in how much memory.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/strings.h"
#include "cli/subject.h"
#include "cli/verb.h"
#include "dist/grid.h"
#include "dist/world.h"
#include "pipeline/training.h"
#include "train/flops.h"
#include "train/step_bench.h"

namespace nativo::cli {
namespace {

struct Arguments {
  std::string shape = "mistral-7b";
  std::int64_t layers = 0;
  std::int64_t batch = 1;
  std::int64_t seq = 2048;
  std::int64_t steps = 10;
  double peak = 0.0;
  int threads = 0;
  std::vector<std::string> sets;
  bool json = false;
};

train::StepBench bench_of(const Arguments& arguments) {
  const Subject subject =
      read_subject(arguments.shape == "mistral-7b" ? "7b" : arguments.shape, arguments.sets);
  train::StepBench bench{.config = subject.config,
                         .options = subject.options.train,
                         .lora = subject.options.lora,
                         .dist = subject.options.dist,
                         .steps = arguments.steps,
                         .should_stop = interrupted};
  if (arguments.layers > 0) bench.config.layers = arguments.layers;
  bench.options.micro_batch = arguments.batch;
  bench.options.seq_len = arguments.seq;
  if (arguments.seq > bench.config.max_positions) {
    throw Error(ExitCode::kUsage, fmt::format("--seq {}: the shape has {} positions", arguments.seq,
                                              bench.config.max_positions));
  }
  return bench;
}

/// What the share of is told, FLOP/s, and what that is.
struct Peak {
  double rate = 0.0;
  std::string what;
};
Peak peak_of(const Arguments& arguments, const train::StepFigures& figures, bool on_gpu) {
  if (arguments.peak > 0.0) return {arguments.peak * 1e12, "--peak"};
  if (!on_gpu) return {train::measure_gemm_rate(), "a large f32 product here"};
  return {train::dense_bf16_tflops(figures.device) * 1e12, "the data sheet's dense bf16"};
}

Json to_json(const train::StepBench& bench, const train::StepFigures& figures, const Peak& peak) {
  return {{"device", figures.device},
          {"parameters", bench.config.parameter_count()},
          {"layers", bench.config.layers},
          {"config", model::config_to_json(bench.config, "bfloat16")},
          {"tokens", figures.tokens},
          {"seconds", figures.seconds},
          {"median_seconds", figures.median},
          {"ranks", figures.ranks},
          {"waited_seconds", figures.waited},
          {"tokens_per_second", static_cast<double>(figures.tokens) / figures.median},
          {"flops", figures.flops},
          {"flops_per_second", figures.flops / figures.median},
          {"peak_flops_per_second", peak.rate},
          {"loss", figures.loss},
          {"gradient_norm", figures.gradient_norm},
          {"bytes",
           {{"weights", figures.memory.parameters + figures.memory.quantized_parameters},
            {"adapters", figures.memory.adapters},
            {"gradients", figures.memory.gradients},
            {"optimizer_state", figures.optimizer_state},
            {"pass", figures.memory.pass},
            {"reserved", figures.memory.total() + figures.optimizer_state},
            {"planned", figures.planned},
            {"host", figures.host},
            {"taken", figures.taken}}}};
}

void print(const train::StepBench& bench, const train::StepFigures& figures, const Peak& peak) {
  const auto human = [](std::size_t bytes) { return human_bytes(static_cast<double>(bytes)); };
  const auto [least, most] = std::ranges::minmax(figures.seconds);
  fmt::print(
      "{}: {:.1f} M parameters in {} layers, {} x {} tokens, train.method {}, "
      "optimizer_state {}, recompute {}\n",
      figures.device, static_cast<double>(bench.config.parameter_count()) * 1e-6,
      bench.config.layers, bench.options.micro_batch, bench.options.seq_len, bench.options.method,
      bench.options.optimizer_state, bench.options.recompute);
  fmt::print("a step       {:.4f} s (median of {}; {:.4f} to {:.4f})\n", figures.median,
             figures.seconds.size(), least, most);
  const double speed = static_cast<double>(figures.tokens) / figures.median;
  fmt::print("tokens       {:.0f} a second", speed);
  if (figures.ranks > 1) {
    fmt::print(
        ", {:.0f} on each of {} ranks (dist.zero {}, dist.tensor {}), which wait {:.1f} % of "
        "the time for each other",
        speed / static_cast<double>(figures.ranks), figures.ranks, bench.dist.zero,
        bench.dist.tensor, 100.0 * figures.waited / figures.median);
  }
  fmt::print("\n");
  fmt::print("arithmetic   {:.2f} TFLOP/s", figures.flops / figures.median * 1e-12);
  if (peak.rate > 0.0) {
    fmt::print(" = {:.1f} % of {:.1f}, {}", 100.0 * figures.flops / figures.median / peak.rate,
               peak.rate * 1e-12, peak.what);
  }
  fmt::print(" (6 a weight and token, and attention; nothing for what is computed again)\n");
  fmt::print("memory       {} weights, {} adapters, {} gradients, {} optimizer state, {} batch\n",
             human(figures.memory.parameters + figures.memory.quantized_parameters),
             human(figures.memory.adapters), human(figures.memory.gradients),
             human(figures.optimizer_state), human(figures.memory.pass));
  fmt::print("             {} reserved, {} planned",
             human(figures.memory.total() + figures.optimizer_state), human(figures.planned));
  if (figures.taken > 0) fmt::print(", {} taken from the driver", human(figures.taken));
  if (figures.host > 0) fmt::print("; {} pinned on the host", human(figures.host));
  fmt::print("\nloss         {:.4f}, gradient norm {:.4f}\n", figures.loss, figures.gradient_norm);
}

void run(const Arguments& arguments) {
  const auto world = dist::connect();  // mpirun, srun
  pipeline::use_threads(arguments.threads, world.get());
  train::StepBench bench = bench_of(arguments);
  const pipeline::TrainingRanks ranks(world.get(), bench.options);
  dist::Grid grid(ranks.ranks(), bench.dist.tensor);
  grid.set_timeout(bench.dist.timeout);
  bench.grid = &grid;
  bench.numbers = ranks.numbers();
  const bool on_gpu = bench.numbers.device.is_cuda();
  const train::StepFigures figures = train::measure_steps(bench);
  if (!world->is_root()) return;
  Peak peak = peak_of(arguments, figures, on_gpu);
  peak.rate *= static_cast<double>(figures.ranks);
  if (arguments.json) {
    fmt::print("{}\n", dump_json_pretty(to_json(bench, figures, peak)));
  } else {
    print(bench, figures, peak);
  }
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("bench", "measures this machine");
  verb->require_subcommand(1);
  CLI::App* step = verb->add_subcommand(
      "step",
      "a training step on made-up weights and tokens: speed, and memory against the plan; under "
      "mpirun or srun on all ranks, --batch rows on each");
  const auto arguments = std::make_shared<Arguments>();
  step->add_option("--shape", arguments->shape,
                   "mistral-7b, a size such as 500m, a model directory or a pipeline file")
      ->capture_default_str();
  step->add_option("--layers", arguments->layers, "so many layers in place of the shape's")
      ->check(CLI::Range(1, 1000));
  step->add_option("--batch", arguments->batch, "rows of a step")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  step->add_option("--seq", arguments->seq, "tokens of a row")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  step->add_option("--steps", arguments->steps, "measured, after two that are not")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  step->add_option("--peak", arguments->peak, "TFLOP/s of one rank that the share is told of")
      ->check(CLI::PositiveNumber);
  step->add_option("--threads", arguments->threads, "0 = all cores")->check(CLI::Range(0, 4096));
  step->add_option("--set", arguments->sets,
                   "an option of [train], [lora] or [dist], such as train.device=cuda, "
                   "train.optimizer_state=int8 or dist.zero=3");
  step->add_flag("--json", arguments->json, "as JSON");
  step->callback([arguments] { run(*arguments); });
}

}  // namespace nativo::cli
