#include "train/step_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/rng.h"
#include "tensor/device_memory.h"
#include "train/data_parallel.h"
#include "train/flops.h"
#include "train/gpu_memory.h"
#include "train/optimizer.h"
#include "train/option_check.h"
#include "train/packer.h"
#include "train/step.h"
#include "train/training_memory.h"

namespace nativo::train {
namespace {

constexpr std::int64_t kWarmUp = 2;

/// Weights like those that training starts from: a few numbers drawn once, again and again.
void make_up_weights(model::Decoder& decoder) {
  std::vector<float> drawn(std::size_t{1} << 16);
  Rng rng(1);
  for (float& number : drawn) number = static_cast<float>(0.02 * rng.normal());
  std::size_t next = 0;
  decoder.load([&](const model::Parameter& parameter, std::span<float> values) {
    if (!parameter.decays) {
      std::ranges::fill(values, parameter.name.ends_with(".bias") ? 0.0F : 1.0F);
      return;
    }
    // Not in step with the rows, which would make them equal.
    for (std::size_t at = 0; at < values.size();) {
      const std::size_t from = (next += 7919) % (drawn.size() / 2);
      const std::size_t count = std::min(drawn.size() - from, values.size() - at);
      std::copy_n(drawn.begin() + static_cast<std::ptrdiff_t>(from), count,
                  values.begin() + static_cast<std::ptrdiff_t>(at));
      at += count;
    }
  });
}

/// One document a row, every token but its first a target.
std::vector<Example> make_up_examples(const model::DecoderConfig& config, std::size_t rows,
                                      std::int64_t length, std::uint64_t number) {
  Rng rng(2, number);
  const auto tokens = static_cast<std::uint64_t>(config.vocab_size);
  std::vector<Example> examples(rows);
  for (Example& example : examples) {
    example.loss_mask.assign(static_cast<std::size_t>(length) + 1, 1);
    for (std::int64_t i = 0; i <= length; ++i) {
      example.tokens.push_back(static_cast<std::int32_t>(rng.below(tokens)));
    }
  }
  return examples;
}

std::size_t free_on(const tensor::Device& device) {
  return device.is_cuda() ? tensor::gpu_facts(device).available : 0;
}

std::vector<Row> whole_rows(std::size_t count, std::int64_t length) {
  std::vector<Row> rows;
  for (std::size_t i = 0; i < count; ++i) rows.push_back({{{i, 0, length}}, length});
  return rows;
}

/// What all ranks fail with alike, the first one tells.
void require_finite(const StepOutcome& outcome, std::int64_t step, dist::Communicator& ranks) {
  const bool is_loss = !std::isfinite(outcome.loss);
  if (!is_loss && std::isfinite(outcome.gradient_norm)) return;
  ranks.barrier();
  if (!ranks.is_root()) throw Error(ExitCode::kData, "");
  throw Error(ExitCode::kData,
              fmt::format("step {} of the measurement: the {} is not finite", step,
                          is_loss ? "loss" : "gradient's norm"),
              "the weights and tokens are made up: lower train.lr; if that does not help, the "
              "arithmetic here is wrong, and no figure of it would be worth anything");
}

/// Seconds that this rank has stood still for collectives.
double waited_by(dist::Grid& grid) {
  double seconds = 0.0;
  for (const auto kind : {dist::OperationKind::kAllReduce, dist::OperationKind::kReduceScatter,
                          dist::OperationKind::kAllGather}) {
    seconds += grid.data().waited(kind);
    if (grid.tensor().size() > 1) seconds += grid.tensor().waited(kind);
  }
  return seconds;
}

}  // namespace

StepFigures measure_steps(const StepBench& bench) {
  TrainOptions options = bench.options;
  options.batch_tokens = options.micro_batch * options.seq_len;
  const model::Numbers numbers = bench.numbers;
  const tensor::Device device = numbers.device;
  dist::Grid self;
  dist::Grid& grid = bench.grid == nullptr ? self : *bench.grid;
  const dist::Place place = grid.world().place();
  check_together(options, place.size);
  const GpuMemory plan = gpu_memory(bench.config, options, bench.lora,
                                    rank_count(place.size, place.node_size, bench.dist));
  tensor::require_device(device);
  StepFigures figures;
  figures.planned = plan.reserved();
  figures.device = device.is_cuda() ? tensor::gpu_facts(device).name : "CPU";
  const std::size_t free_before = free_on(device);

  model::Decoder decoder(bench.config, quantization_of(options.method, bench.lora),
                         decoder_ranks(grid, bench.dist.zero), numbers);
  make_up_weights(decoder);
  if (options.method != "full") {
    decoder.attach_lora(model::resolve_lora(bench.lora.lora, bench.config), 1);
  }
  DataParallel parallel(&grid, decoder, bench.dist.zero,
                        gradient_crossing_from_option(bench.dist.gradient_type));
  const model::TrainingShape shape = training_shape(options);
  parallel.gradients().enable(shape.gradients);
  Optimizer optimizer(std::as_const(decoder).trainable(), adamw_settings(options),
                      parallel.updated_slices());

  const auto step_rows = static_cast<std::size_t>(shape.rows * grid.data().size());
  const std::vector<Row> rows = whole_rows(step_rows, shape.length);
  std::vector<const Row*> batch;
  for (const Row& row : rows) batch.push_back(&row);
  double waited = 0.0;
  for (std::int64_t step = 1; step <= kWarmUp + bench.steps; ++step) {
    if (bench.should_stop && bench.should_stop()) {
      throw Error(ExitCode::kTryAgain, "stopped before the last step");
    }
    const std::vector<Example> examples =
        make_up_examples(bench.config, step_rows, shape.length, static_cast<std::uint64_t>(step));
    const WeightUpdate update{.decoder = decoder,
                              .parallel = parallel,
                              .optimizer = optimizer,
                              .number = step,
                              .lr = options.lr,
                              .in_backward = options.optimizer_in_backward};
    grid.world().barrier();
    if (step == kWarmUp + 1) waited = waited_by(grid);
    const double begun = monotonic_seconds();
    const StepOutcome outcome = *run_batch(decoder, parallel, examples, batch, options, step,
                                           /*stop=*/{}, update.by_layers());
    require_finite(outcome, step, grid.world());
    update.finish(outcome.gradient_norm);
    if (device.is_cuda()) tensor::synchronize(device);
    grid.world().barrier();
    if (step > kWarmUp) figures.seconds.push_back(monotonic_seconds() - begun);
    figures.loss = outcome.loss;
    figures.gradient_norm = outcome.gradient_norm;
    figures.tokens = outcome.tokens;
  }
  grid.check();
  const double mine = (waited_by(grid) - waited) / static_cast<double>(bench.steps);
  for (const double of : dist::all_gather_numbers(grid.world(), std::span(&mine, 1))) {
    figures.waited += of / static_cast<double>(place.size);
  }
  figures.ranks = place.size;
  const std::size_t free_after = free_on(device);
  figures.taken = free_before > free_after ? free_before - free_after : 0;
  figures.memory = decoder.memory();
  figures.memory.gradients += parallel.gradients().bytes();
  figures.optimizer_state = optimizer.bytes();
  figures.host = figures.memory.host + optimizer.host_bytes();
  double adapters = 0.0;
  for (const model::Parameter& parameter : std::as_const(decoder).trainable()) {
    adapters += static_cast<double>(parameter.elements());
  }
  adapters *= grid.tensor().size();
  const auto tokens = static_cast<double>(figures.tokens);
  const double keys = keys_seen(bench.config, shape.length) * static_cast<double>(step_rows);
  figures.flops =
      step_flops(bench.config, options.method == "full" ? 0.0 : adapters, {tokens, tokens, keys});
  std::vector<double> sorted = figures.seconds;
  std::ranges::sort(sorted);
  figures.median = sorted[sorted.size() / 2];
  return figures;
}

double dense_bf16_tflops(std::string_view gpu) {
  // The first that is part of the name.
  static constexpr std::array<std::pair<std::string_view, double>, 9> kRates = {
      {{"H100 PCIe", 756.0},
       {"H100 NVL", 835.0},
       {"H100", 989.0},
       {"H200", 989.0},
       {"A100", 312.0},
       {"A10G", 70.0},
       {"L40S", 362.0},
       {"RTX 4090", 165.0},
       {"B200", 2250.0}}};
  for (const auto& [name, rate] : kRates) {
    if (gpu.find(name) != std::string_view::npos) return rate;
  }
  return 0.0;
}

}  // namespace nativo::train
