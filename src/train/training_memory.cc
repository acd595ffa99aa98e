#include "train/training_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "dist/grid.h"
#include "dist/node_communicator.h"
#include "model/memory_plan.h"
#include "train/gradient_sums.h"
#include "train/optimizer.h"

namespace nativo::train {
namespace {

constexpr std::size_t kPhases = kPhaseNames.size();

class Table {
 public:
  explicit Table(TrainingMemory& memory) : memory_(memory) {}

  void set(std::string_view purpose, Phase phase, std::size_t bytes) {
    if (bytes == 0) return;
    auto& all = memory_.purposes;
    auto found = std::ranges::find(all, purpose, &MemoryPurpose::name);
    if (found == all.end()) found = all.insert(all.end(), {std::string(purpose), {}});
    found->bytes[static_cast<std::size_t>(phase)] += bytes;
  }

  /// In `first` and every later phase.
  void from(std::string_view purpose, Phase first, std::size_t bytes) {
    for (auto phase = static_cast<std::size_t>(first); phase < kPhases; ++phase) {
      set(purpose, static_cast<Phase>(phase), bytes);
    }
  }

  /// The arena of a pass in one phase: what is in use, and the rest of it.
  void pass(Phase phase, const std::vector<tensor::ArenaPlan::Purpose>& used, std::size_t size) {
    std::size_t sum = 0;
    for (const auto& purpose : used) {
      set(purpose.name, phase, purpose.bytes);
      sum += purpose.bytes;
    }
    set("idle", phase, size - std::min(sum, size));
  }

 private:
  TrainingMemory& memory_;
};

struct Adapted {
  model::Quantization quantization;
  std::optional<model::LoraConfig> lora;
};

Adapted adapted(const model::DecoderConfig& config, const TrainOptions& options,
                const LoraTableOptions& lora) {
  Adapted how;
  if (options.method == "full") return how;
  how.quantization = quantization_of(options.method, lora);
  how.lora = model::resolve_lora(lora.lora, config);
  return how;
}

/// What passes through shared memory: of all ranks, and of a grid's rows and columns.
std::size_t exchange_bytes(const RankCount& ranks) {
  const dist::NodeSettings settings;
  return 2 * settings.stage_bytes * ((ranks.tensor > 1 ? 3U : 1U) + (ranks.neighbour ? 1U : 0U));
}

/// Of a tensor-parallel rank's parameters, those that are columns of the whole.
double column_share(const model::DecoderConfig& config, const RankCount& ranks) {
  if (ranks.tensor == 1) return 0.0;
  const std::int64_t columns =
      config.layers * config.hidden_size * (config.q_width() + config.intermediate_size);
  return static_cast<double>(columns) / static_cast<double>(config.parameter_count());
}

/// From ZeRO stage 2 on; see GradientSums.
std::size_t gradients_that_pass(const model::DecoderConfig& config, std::int64_t ranks) {
  const model::LayerNumbers numbers = model::layer_numbers(config);
  return passing_gradient_bytes(numbers.layer, config.layers, numbers.others, ranks);
}

/// `data` ranks hold equal parameters, `neighbours` of them are on one node.
std::size_t weight_bytes(const model::DecoderMemory& memory, const model::DecoderConfig& config,
                         bool can_be_cut, std::int64_t data, std::size_t neighbours,
                         std::int64_t zero) {
  const std::size_t whole = memory.parameters + memory.quantized_parameters;
  if (zero < 3) return whole;
  const auto on_a_node = static_cast<std::int64_t>(neighbours);
  if (can_be_cut && data > on_a_node) return model::cut_weight_bytes(config, data, on_a_node);
  return whole / neighbours;
}

}  // namespace

model::TrainingShape training_shape(const TrainOptions& options) {
  const auto recompute = model::recompute_from_name(options.recompute);
  if (!recompute) {
    throw Error(ExitCode::kConfig,
                fmt::format("train.recompute: \"{}\" is none of {}", printable(options.recompute),
                            fmt::join(model::kRecomputeNames, ", ")));
  }
  const std::int64_t rows = std::max<std::int64_t>(1, options.batch_tokens / options.seq_len);
  const bool is_one_batch = rows <= options.micro_batch;
  model::TrainingShape shape{
      .rows = std::min(rows, options.micro_batch),
      .length = options.seq_len,
      .recompute = *recompute,
      .gradients = is_one_batch ? model::GradientMemory::kShared : model::GradientMemory::kApart,
      .offload_inputs = offload_of(options).activations};
  if (!options.optimizer_in_backward) return shape;
  const auto excluded = [](bool is, const std::string& what, const char* hint) {
    if (is) throw Error(ExitCode::kConfig, "train.optimizer_in_backward: " + what, hint);
  };
  excluded(options.method != "full", "adapters' gradients take no memory worth it",
           "remove it, or set train.method = \"full\"");
  excluded(options.clip_norm > 0.0,
           "the norm of a gradient is known when all weights are updated, too late to clip it",
           "set train.clip_norm = 0");
  excluded(options.on_spike == "skip",
           "a spike is known when all weights are updated, too late to skip it",
           "set train.on_spike = \"stop\" or \"rollback\"");
  excluded(!is_one_batch,
           fmt::format("a step of {} rows (train.batch_tokens / train.seq_len) is no single "
                       "micro-batch of {}",
                       rows, options.micro_batch),
           "raise train.micro_batch, or lower train.batch_tokens");
  shape.gradients = model::GradientMemory::kPassing;
  return shape;
}

std::size_t TrainingMemory::in(Phase phase) const {
  std::size_t sum = 0;
  for (const MemoryPurpose& purpose : purposes) {
    sum += purpose.bytes[static_cast<std::size_t>(phase)];
  }
  return sum;
}

std::size_t TrainingMemory::peak() const {
  std::size_t most = 0;
  for (std::size_t phase = 0; phase < kPhases; ++phase) {
    most = std::max(most, in(static_cast<Phase>(phase)));
  }
  return most;
}

TrainingMemory training_memory(const model::DecoderConfig& whole, const TrainOptions& options,
                               const LoraTableOptions& lora, const RankCount& ranks) {
  dist::require_grid(ranks.ranks, ranks.tensor);
  const model::DecoderConfig config = model::tensor_part(whole, ranks.tensor);
  const std::int64_t data = std::max<std::int64_t>(1, ranks.ranks / ranks.tensor);
  const std::int64_t per_node = ranks.per_node == 0 ? ranks.ranks : ranks.per_node;
  const auto neighbours = static_cast<std::size_t>(
      std::clamp<std::int64_t>(per_node / ranks.tensor, 1, data));  // with the same part
  const Adapted how = adapted(whole, options, lora);
  if (ranks.tensor > 1 && how.quantization.format &&
      how.quantization.scales == ops::ScaleFormat::kDouble) {
    throw Error(ExitCode::kConfig,
                fmt::format("lora.double_quant with dist.tensor = {}: {} neighbouring scales share "
                            "a range, and parts of a matrix have other neighbours than the whole, "
                            "so that the base would be another one than on one rank",
                            ranks.tensor, ops::kScaleGroup),
                "set lora.double_quant = false, or dist.tensor = 1 with dist.zero = 3");
  }
  const model::LoraConfig* adapters = how.lora ? &*how.lora : nullptr;
  model::TrainingShape shape = training_shape(options);
  if (data > 1) shape.gradients = model::GradientMemory::kApart;
  const model::MemoryPlan plan = model::memory_plan(config, how.quantization, adapters, shape);
  const std::int64_t trained =
      adapters != nullptr ? lora_parameter_count(*adapters, config) : config.parameter_count();
  const StateType state = state_type_from_option(options.optimizer_state);
  const bool passes = ranks.zero >= 2 && data > 1 && adapters == nullptr;
  const std::int64_t own = (trained + data - 1) / data;  // to a piece of the norm
  const std::size_t moments = state_bytes(state, ranks.zero >= 1 ? own : trained);
  const std::size_t weights =
      weight_bytes(plan.memory, config, !how.quantization.format, data, neighbours, ranks.zero);

  TrainingMemory memory;
  Table table(memory);
  table.from("program", Phase::kLoad, kProgramBytes);
  table.from("buffers", Phase::kLoad, kBufferBytes);
  if (ranks.ranks > 1) table.from("exchange", Phase::kLoad, exchange_bytes(ranks));
  table.from("weights", Phase::kLoad, weights);
  table.from("adapters", Phase::kLoad, plan.memory.adapters);
  table.from("optimizer state", Phase::kLoad, moments);
  table.from("gradients", Phase::kForward,
             passes ? gradients_that_pass(config, data) : plan.memory.gradients);
  table.pass(Phase::kForward, plan.forward, plan.memory.pass);
  table.pass(Phase::kBackward, plan.backward, plan.memory.pass);
  const bool shared = shape.gradients == model::GradientMemory::kShared && adapters == nullptr;
  const std::size_t gradients =
      shared ? static_cast<std::size_t>(trained) * sizeof(float) : std::size_t{0};
  table.pass(Phase::kStep, {{"gradients", gradients}}, plan.memory.pass);
  table.pass(Phase::kSave, plan.backward, plan.memory.pass);
  const std::size_t own_state =
      static_cast<std::size_t>(own) * sizeof(float) + state_bytes(state, own);
  if (ranks.neighbour) {  // the last one stays while the next is taken
    table.from("neighbour", Phase::kForward, 2 * own_state * (per_node < ranks.ranks ? 2 : 1));
  }
  // A copy of all, or of what tensor-parallel ranks have columns of and write as rows.
  const double share = options.background_checkpoints ? 1.0 : column_share(config, ranks);
  table.set("snapshot", Phase::kSave,
            static_cast<std::size_t>(share * static_cast<double>(own_state)));
  return memory;
}

}  // namespace nativo::train
