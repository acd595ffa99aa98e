#include "pipeline/training.h"

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/strings.h"
#include "config/json_writer.h"
#include "dist/nccl.h"
#include "dist/own_gpu.h"
#include "dist/world.h"
#include "io/file.h"
#include "model/peft_adapter.h"
#include "pipeline/step.h"
#include "tensor/arena.h"
#include "tensor/device_memory.h"
#include "train/data_parallel.h"
#include "train/flops.h"
#include "train/gpu_memory.h"
#include "train/grid_choice.h"
#include "train/memory_choice.h"
#include "train/trainer.h"
#include "train/training_memory.h"

namespace nativo::pipeline {
namespace {

Json training_summary(const model::Decoder& decoder, const train::TrainInput& input,
                      const train::TrainResult& result) {
  const std::int64_t parameters = decoder.config().parameter_count();
  const std::int64_t trained = decoder.lora() == nullptr
                                   ? parameters
                                   : model::lora_parameter_count(*decoder.lora(), decoder.config());
  const double speed =
      result.step_seconds > 0.0 ? static_cast<double>(result.tokens) / result.step_seconds : 0.0;
  std::string text = fmt::format("{:.1f} M parameters, ", static_cast<double>(parameters) * 1e-6);
  if (decoder.lora() != nullptr) {
    text += fmt::format("{:.2f} M of adapters trained, ", static_cast<double>(trained) * 1e-6);
  }
  text +=
      fmt::format("{} steps, loss {:.3f} -> {:.3f}", result.steps, result.first_loss, result.loss);
  Json detail = {{"summary", ""},
                 {"method", input.options.method},
                 {"parameters", parameters},
                 {"trained_parameters", trained},
                 {"steps", result.steps},
                 {"examples", input.train.size()},
                 {"heldout_examples", input.heldout.size()},
                 {"base_heldout_examples", input.base_heldout.size()},
                 {"targets_per_epoch", result.targets},
                 {"tokens", result.tokens},
                 {"tokens_per_second", speed},
                 {"seconds", result.seconds},
                 {"loss", {{"first", result.first_loss}, {"last", result.loss}}}};
  const auto& best = result.best;
  if (result.first_eval_loss && result.eval_loss) {
    text += fmt::format(", held-out {:.3f} -> {:.3f}", *result.first_eval_loss,
                        best ? best->loss : *result.eval_loss);
    detail["eval_loss"] = {{"first", *result.first_eval_loss}, {"last", *result.eval_loss}};
  }
  if (best) {
    detail["eval_loss"]["best"] = best->loss;
    detail["best_step"] = best->step;
    detail["evaluations"] = result.evaluations;
    if (best->step != result.steps) {
      text += fmt::format(" (the best of {} evaluations: step {}; at the end {:.3f})",
                          result.evaluations, best->step, result.eval_loss.value_or(best->loss));
    }
  }
  if (result.first_base_eval_loss && result.base_eval_loss) {
    const double of_result = best && best->base_loss ? *best->base_loss : *result.base_eval_loss;
    text += fmt::format(", in the base's language {:.3f} -> {:.3f}", *result.first_base_eval_loss,
                        of_result);
    detail["base_eval_loss"] = {{"first", *result.first_base_eval_loss},
                                {"last", *result.base_eval_loss}};
    if (best && best->base_loss) detail["base_eval_loss"]["best"] = *best->base_loss;
  }
  if (result.skipped_steps > 0) {
    text += fmt::format(", {} steps skipped", result.skipped_steps);
    detail["skipped_steps"] = result.skipped_steps;
  }
  if (result.rollbacks > 0) {
    text += fmt::format(", {} rollbacks", result.rollbacks);
    detail["rollbacks"] = result.rollbacks;
  }
  detail["summary"] = text + fmt::format(", {:.0f} tokens/s", speed);
  return detail;
}

/// What a checkpoint must match to be continued: everything but what becomes of spikes, so that a
/// run that stopped at one goes on with another policy, how checkpoints are kept and written, which
/// of them is the result, when it is enough, and what saves memory without changing a bit.
std::string resume_key(data::StageSpec spec) {
  for (const char* key : {"on_spike", "spike_sigma", "max_spikes", "keep", "background_checkpoints",
                          "keep_best", "patience"}) {
    spec.options[spec.name].erase(key);
  }
  return data::stage_key(spec);
}

}  // namespace

TrainingRanks::TrainingRanks(dist::Communicator* world, const train::TrainOptions& options)
    : world_(world), numbers_(train::numbers_of(options)) {
  if (!numbers_.device.is_cuda() || world == nullptr || world->size() == 1) return;
  if (options.device != "cuda") {
    throw Error(ExitCode::kConfig,
                fmt::format("train.device: \"{}\" is one GPU, and there are {} ranks",
                            printable(options.device), world->size()),
                "set train.device = \"cuda\": each rank takes the GPU of its place on the node");
  }
  numbers_.device = dist::own_gpu(*world);
  gpus_ = dist::connect_nccl(*world, numbers_.device);
}

Json result_options(const train::TrainOptions& options) {
  Json json = config::to_json(options);
  for (const char* key : {"device", "precision", "recompute", "optimizer_in_backward", "offload"}) {
    json.erase(key);
  }
  const std::string_view label = model::numbers_label(train::numbers_of(options));
  if (!label.empty()) json["numbers"] = label;
  return json;
}

model::Decoder load_base(const fs::path& folder, const train::TrainOptions& options,
                         const train::LoraTableOptions& lora, const train::DistOptions& dist,
                         dist::Grid& grid, const model::Numbers& numbers) {
  const dist::Place place = grid.world().place();
  const std::size_t host = tensor::available_memory() / static_cast<std::size_t>(place.node_size);
  train::AvailableMemory available{.bytes = host};
  if (numbers.device.is_cuda()) {
    tensor::require_device(numbers.device);
    available = {.bytes = tensor::gpu_facts(numbers.device).available, .host = host};
  }
  train::require_memory(model::read_config(folder), options, lora, available,
                        train::rank_count(place.size, place.node_size, dist));
  grid.set_timeout(0.0);  // large files take long
  model::Decoder decoder = model::load_decoder(folder, train::quantization_of(options.method, lora),
                                               train::decoder_ranks(grid, dist.zero), numbers);
  if (options.method != "full") {
    decoder.attach_lora(model::resolve_lora(lora.lora, decoder.config()),
                        static_cast<std::uint64_t>(options.seed));
  }
  return decoder;
}

namespace {

/// Bytes that one of `per_node` ranks on nodes like this may train in; none = there is no such GPU
/// here.
std::optional<std::size_t> available_to(const train::TrainOptions& options, std::int64_t per_node) {
  if (!train::numbers_of(options).device.is_cuda()) {
    return tensor::available_memory() / static_cast<std::size_t>(per_node);
  }
  if (tensor::gpu_count() == 0) return std::nullopt;
  return tensor::gpu_facts(tensor::Device::cuda(0)).available;
}

}  // namespace

train::DistOptions settled(const train::DistOptions& dist, const model::DecoderConfig& config,
                           const train::TrainOptions& options, const train::LoraTableOptions& lora,
                           dist::Communicator* ranks) {
  if (dist.grid != "auto" || ranks == nullptr || ranks->size() == 1) return dist;
  train::DistOptions settled = dist;
  const dist::Place& place = ranks->place();
  std::int64_t numbers[2] = {};
  if (ranks->is_root()) {
    const train::GridChoice choice = train::choose_grid(
        config, options, lora, available_to(options, place.node_size).value_or(0),
        train::rank_count(place.size, place.node_size, dist));
    log::info("dist.grid = \"auto\": {}, {} a rank", train::settings_of(choice),
              human_bytes(static_cast<double>(choice.peak)));
    numbers[0] = choice.zero;
    numbers[1] = choice.tensor;
  }
  ranks->broadcast(std::span<std::int64_t>(numbers), 0);
  settled.zero = numbers[0];
  settled.tensor = numbers[1];
  return settled;
}

std::string grid_line(const PipelineOptions& options) {
  const launch::SlurmOptions& slurm = options.slurm;
  const std::int64_t ranks = slurm.nodes * slurm.ranks_per_node;
  const bool is_preset = !options.model.preset().empty();
  if (ranks == 1 || (!is_preset && !fs::exists(fs::path(options.model.base) / "config.json"))) {
    return {};
  }
  const model::DecoderConfig config =
      is_preset ? model::preset(options.model.preset(), options.model.vocab_size)
                : model::read_config(options.model.base);
  const train::RankCount count = train::rank_count(ranks, slurm.ranks_per_node, options.dist);
  const std::size_t peak = train::rank_bytes(config, options.train, options.lora, count);
  const auto available = available_to(options.train, slurm.ranks_per_node);
  const train::GridChoice choice =
      train::choose_grid(config, options.train, options.lora, available.value_or(SIZE_MAX), count);
  const auto human = [](std::size_t bytes) { return human_bytes(static_cast<double>(bytes)); };
  const std::string chosen = fmt::format("{}, {} a rank{}", train::settings_of(choice),
                                         human(choice.peak), choice.fits ? "" : " (too much)");
  const std::string where = fmt::format("{} nodes x {} ranks", slurm.nodes, slurm.ranks_per_node);
  if (!available) {
    return fmt::format("{}: dist.zero={} dist.tensor={}, {} on each GPU; there is none here", where,
                       options.dist.zero, options.dist.tensor, human(peak));
  }
  if (options.dist.grid == "auto") return fmt::format("{}: {}", where, chosen);
  return fmt::format("{}: dist.zero={} dist.tensor={}, {} a rank; dist.grid=auto: {}", where,
                     options.dist.zero, options.dist.tensor, human(peak), chosen);
}

void use_threads(std::int64_t threads, const dist::Communicator* ranks) {
  if (threads == 0 && ranks != nullptr && ranks->size() > 1) {
    threads = dist::fair_thread_count(ranks->place());
  }
  set_thread_count(static_cast<int>(threads));
}

void train_and_save(Training training, model::Decoder& decoder) {
  const double start = monotonic_seconds();
  const train::TrainInput input{
      .decoder = decoder,
      .train = std::move(training.data.train),
      .heldout = std::move(training.data.heldout),
      .base_heldout = std::move(training.data.base_heldout),
      .options = training.options,
      .dir = training.folder,
      .key = training.spec.key.empty() ? std::string() : resume_key(training.spec),
      .label = training.spec.name,
      .extra_files = training.save.extra_files,
      .gemm_rate = decoder.numbers().device.is_cuda() ? 0.0 : train::measure_gemm_rate(),
      .grid = training.grid,
      .dist = training.dist,
  };
  const train::TrainResult result = train::train(input);
  if (training.grid != nullptr) {
    training.grid->set_timeout(0.0);  // for what the first rank does alone
    const bool has_a_part = training.grid->data().rank() == 0 || decoder.gathers_layers();
    if (has_a_part && !training.grid->world().is_root()) {
      if (decoder.lora() != nullptr) model::help_write_adapter(decoder);
      model::help_write_decoder(decoder, training.save);
    }
    if (!training.grid->world().is_root()) return;
  }
  if (decoder.lora() != nullptr) {
    model::save_adapter(training.folder / "adapter", decoder, training.base);
  }
  const fs::path folder = model_folder(training.folder);
  model::save_decoder(folder, decoder, training.save);
  const Json detail = training_summary(decoder, input, result);
  io::write_file_atomically(training.folder / "summary.json", dump_json_pretty(detail));
  complete_step(folder, training.spec, monotonic_seconds() - start, detail);
}

}  // namespace nativo::pipeline
