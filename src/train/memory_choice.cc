#include "train/memory_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "train/gpu_memory.h"

namespace nativo::train {
namespace {

bool is_on_gpu(const TrainOptions& options) { return numbers_of(options).device.is_cuda(); }

struct Need {
  std::size_t bytes = 0;  ///< where the rank trains
  std::size_t host = 0;   ///< beside a GPU

  [[nodiscard]] std::size_t lacking(const AvailableMemory& available) const {
    return bytes - std::min(bytes, available.bytes) + host - std::min(host, available.host);
  }
};

Need need_of(const model::DecoderConfig& config, const TrainOptions& options,
             const LoraTableOptions& lora, const RankCount& ranks) {
  if (!is_on_gpu(options)) return {training_memory(config, options, lora, ranks).peak(), 0};
  const GpuMemory memory = gpu_memory(config, options, lora, ranks);
  return {memory.total(), memory.host()};
}

/// A setting that needs less memory than another.
struct Change {
  std::string key;
  std::string value;
  std::function<void(TrainOptions&)> apply;
};

/// In the order of what they cost: first those that change no bit of the result. What excludes the
/// optimizer in the backward pass switches it off where it is on.
std::vector<Change> all_changes(const TrainOptions& options) {
  std::vector<Change> changes;
  if (!is_on_gpu(options)) {
    changes.push_back({"train.background_checkpoints", "false",
                       [](TrainOptions& of) { of.background_checkpoints = false; }});
  }
  changes.push_back({"train.micro_batch", "1", [](TrainOptions& of) { of.micro_batch = 1; }});
  changes.push_back({"train.recompute", "block", [](TrainOptions& of) { of.recompute = "block"; }});
  if (is_on_gpu(options)) {
    changes.push_back(
        {"train.offload", "[\"optimizer\"]", [](TrainOptions& of) { of.offload = {"optimizer"}; }});
  }
  for (const char* state : {"bf16", "int8"}) {
    changes.push_back({"train.optimizer_state", state,
                       [state](TrainOptions& of) { of.optimizer_state = state; }});
  }
  for (const char* method : {"lora", "qlora-int8", "qlora-nf4"}) {
    changes.push_back({"train.method", method, [method](TrainOptions& of) { of.method = method; }});
  }
  for (Change& change : changes) {
    const bool excludes = change.key == "train.micro_batch" || change.key == "train.method";
    if (!excludes || !options.optimizer_in_backward) continue;
    change.value += " train.optimizer_in_backward=false";
    change.apply = [apply = change.apply](TrainOptions& of) {
      apply(of);
      of.optimizer_in_backward = false;
    };
  }
  return changes;
}

std::string human(std::size_t bytes) { return human_bytes(static_cast<double>(bytes)); }

/// What is beyond what.
std::string words(const model::DecoderConfig& config, const TrainOptions& options,
                  const LoraTableOptions& lora, const AvailableMemory& available,
                  const RankCount& ranks) {
  const bool is_several = ranks.ranks > 1;
  if (!is_on_gpu(options)) {
    return fmt::format("training this model needs {} of memory{}, {} are available",
                       human(training_memory(config, options, lora, ranks).peak()),
                       is_several ? " on each rank" : "", human(available.bytes));
  }
  const GpuMemory memory = gpu_memory(config, options, lora, ranks);
  if (memory.total() > available.bytes) {
    return fmt::format(
        "training this model on {} needs {}{} ({} of weights, {} of gradients, {} of optimizer "
        "state, {} of activations{}), {} are available",
        options.device, human(memory.total()), is_several ? " on each GPU" : " there",
        human(memory.decoder.parameters + memory.decoder.quantized_parameters +
              memory.decoder.adapters),
        human(memory.decoder.gradients + memory.passing), human(memory.optimizer_state),
        human(memory.decoder.pass),
        memory.nccl > 0 ? fmt::format(", {} of NCCL's buffers", human(memory.nccl)) : "",
        human(available.bytes));
  }
  return fmt::format(
      "training this model on {} needs {} of the host's memory{} ({} of a state to write "
      "checkpoints from, {} that train.offload keeps there{}), {} are available",
      options.device, human(memory.host()), is_several ? " on each rank" : "",
      human(memory.snapshot), human(memory.pinned),
      memory.neighbour > 0
          ? fmt::format(", {} of dist.neighbour_every's copies", human(memory.neighbour))
          : "",
      human(available.host));
}

}  // namespace

std::size_t rank_bytes(const model::DecoderConfig& config, const TrainOptions& options,
                       const LoraTableOptions& lora, const RankCount& ranks) {
  return need_of(config, options, lora, ranks).bytes;
}

MemoryChoice fitting_choice(const model::DecoderConfig& config, const TrainOptions& options,
                            const LoraTableOptions& lora, AvailableMemory available,
                            const RankCount& ranks) {
  LoraTableOptions adapters = lora;
  if (ranks.tensor > 1) adapters.double_quant = false;
  const auto need = [&](const std::vector<Change>& changes) {
    TrainOptions changed = options;
    for (const Change& change : changes) change.apply(changed);
    return need_of(config, changed, adapters, ranks);
  };
  std::vector<Change> taken;
  Need least = need(taken);
  for (const Change& change : all_changes(options)) {
    if (least.lacking(available) == 0) break;
    std::vector<Change> more = taken;
    std::erase_if(more, [&](const Change& old) { return old.key == change.key; });
    more.push_back(change);
    const Need tried = need(more);
    if (tried.lacking(available) >= least.lacking(available)) continue;
    least = tried;
    taken = std::move(more);
  }
  // What came earlier may not be needed beside something stronger; what costs most goes first.
  for (std::size_t i = taken.size(); i-- > 0 && least.lacking(available) == 0;) {
    std::vector<Change> fewer = taken;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    const Need tried = need(fewer);
    if (tried.lacking(available) > 0) continue;
    taken = std::move(fewer);
    least = tried;
  }
  std::vector<std::string> settings;
  for (const Change& change : taken) {
    settings.push_back(fmt::format("{}={}", change.key, change.value));
  }
  return {fmt::format("{}", fmt::join(settings, " ")), least.bytes, least.lacking(available) == 0};
}

void require_memory(const model::DecoderConfig& config, const TrainOptions& options,
                    const LoraTableOptions& lora, AvailableMemory available,
                    const RankCount& ranks) {
  if (need_of(config, options, lora, ranks).lacking(available) == 0) return;
  const MemoryChoice choice = fitting_choice(config, options, lora, available, ranks);
  std::string hint = "choose a smaller model or train.seq_len";
  if (choice.fits) {
    hint = fmt::format("it fits with {}: {}", choice.settings, human(choice.peak));
  } else if (!choice.settings.empty()) {
    hint = fmt::format("even with {} it needs {}: {}", choice.settings, human(choice.peak), hint);
  }
  throw Error(ExitCode::kTryAgain, words(config, options, lora, available, ranks),
              hint + "; `nativo memory` shows what takes how much");
}

}  // namespace nativo::train
