// nativo memory: what a training takes, by purpose and phase, before it starts.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/strings.h"
#include "cli/subject.h"
#include "cli/verb.h"
#include "tensor/arena.h"
#include "train/gpu_memory.h"
#include "train/grid_choice.h"
#include "train/training_memory.h"

namespace nativo::cli {
namespace {

struct Arguments {
  std::string what;
  std::vector<std::string> sets;
  std::int64_t ranks = 1;
  std::int64_t ranks_per_node = 0;
  bool json = false;
};

/// What is to be planned, and for how many.
struct Planned : Subject {
  train::RankCount ranks;
};

Planned subject_of(const Arguments& arguments) {
  Planned planned;
  static_cast<Subject&>(planned) = read_subject(arguments.what, arguments.sets);
  planned.ranks =
      train::rank_count(arguments.ranks, arguments.ranks_per_node, planned.options.dist);
  return planned;
}

/// The ways to train that people weigh against each other.
struct Method {
  std::string method;
  std::string state;
  std::string recompute;
  std::size_t peak = 0;
};

std::vector<Method> methods_of(const Planned& subject) {
  std::vector<Method> methods;
  for (const char* method : {"full", "lora", "qlora-int8", "qlora-nf4"}) {
    for (const char* state : {"f32", "bf16", "int8"}) {
      if (std::string_view(method) != "full" && std::string_view(state) != "f32") continue;
      for (const char* recompute : {"norms", "block"}) {
        train::TrainOptions options = subject.options.train;
        options.method = method;
        if (options.method != "full") options.optimizer_in_backward = false;
        options.optimizer_state = state;
        options.recompute = recompute;
        methods.push_back(
            {method, state, recompute,
             train::training_memory(subject.config, options, subject.options.lora, subject.ranks)
                 .peak()});
      }
    }
  }
  return methods;
}

/// What this machine's memory suggests when it is one of the nodes.
train::GridChoice grid_of(const Planned& subject, std::size_t available) {
  const std::int64_t per_node =
      subject.ranks.per_node == 0 ? subject.ranks.ranks : subject.ranks.per_node;
  return train::choose_grid(subject.config, subject.options.train, subject.options.lora,
                            available / static_cast<std::size_t>(per_node), subject.ranks);
}

Json to_json(const Planned& subject, const train::TrainingMemory& memory, std::size_t available) {
  Json phases = Json::object();
  for (std::size_t i = 0; i < train::kPhaseNames.size(); ++i) {
    Json purposes = Json::object();
    for (const train::MemoryPurpose& purpose : memory.purposes) {
      if (purpose.bytes[i] > 0) purposes[purpose.name] = purpose.bytes[i];
    }
    phases[std::string(train::kPhaseNames[i])] = {
        {"bytes", memory.in(static_cast<train::Phase>(i))}, {"purposes", std::move(purposes)}};
  }
  Json methods = Json::array();
  for (const Method& method : methods_of(subject)) {
    methods.push_back({{"method", method.method},
                       {"optimizer_state", method.state},
                       {"recompute", method.recompute},
                       {"bytes", method.peak}});
  }
  Json ranks = Json::array();
  for (std::int64_t rank = 0; rank < subject.ranks.ranks; ++rank) {
    ranks.push_back({{"rank", rank}, {"phases", phases}, {"peak", memory.peak()}});
  }
  const train::GridChoice choice = grid_of(subject, available);
  return {{"model", subject.name},
          {"parameters", subject.config.parameter_count()},
          {"ranks", ranks},
          {"classic_rule",
           {{"parameters", subject.said}, {"bytes", train::classic_rule(subject.said)}}},
          {"methods", methods},
          {"grid",
           {{"zero", choice.zero},
            {"tensor", choice.tensor},
            {"bytes", choice.peak},
            {"fits", choice.fits}}},
          {"available", available}};
}

std::string human(std::size_t bytes) {
  return bytes == 0 ? "-" : human_bytes(static_cast<double>(bytes));
}

void print_shape(const Planned& subject) {
  const model::DecoderConfig& config = subject.config;
  const train::TrainOptions& train = subject.options.train;
  fmt::print(
      "{}: {:.2f} M parameters ({} layers of {}, feed-forward {}, {} heads, {} key/value "
      "heads, vocabulary {})\n",
      printable(subject.name), static_cast<double>(config.parameter_count()) * 1e-6, config.layers,
      config.hidden_size, config.intermediate_size, config.heads, config.kv_heads,
      config.vocab_size);
  const model::TrainingShape shape = train::training_shape(train);
  fmt::print(
      "train.method {}, optimizer_state {}, recompute {}; {} x {} tokens at a time of {} a "
      "step\n\n",
      train.method, train.optimizer_state, train.recompute, shape.rows, shape.length,
      train.batch_tokens);
}

void print_phases(const train::TrainingMemory& memory) {
  fmt::print("{:<16}", "one rank holds");
  for (const auto phase : train::kPhaseNames) fmt::print(" {:>10}", phase);
  fmt::print("\n");
  for (const train::MemoryPurpose& purpose : memory.purposes) {
    fmt::print("{:<16}", purpose.name);
    for (const std::size_t bytes : purpose.bytes) fmt::print(" {:>10}", human(bytes));
    fmt::print("\n");
  }
  fmt::print("{:<16}", "together");
  for (std::size_t i = 0; i < train::kPhaseNames.size(); ++i) {
    fmt::print(" {:>10}", human(memory.in(static_cast<train::Phase>(i))));
  }
  fmt::print("\n\n");
}

void print_methods(const Planned& subject, std::size_t available) {
  fmt::print("{:<12} {:<16} {:>16} {:>16}\n", "method", "optimizer_state", "recompute norms",
             "recompute block");
  const std::vector<Method> methods = methods_of(subject);
  for (std::size_t i = 0; i + 1 < methods.size(); i += 2) {
    const auto cell = [&](const Method& method) {
      return human(method.peak) + (method.peak <= available ? " ok" : "   ");
    };
    fmt::print("{:<12} {:<16} {:>16} {:>16}\n", methods[i].method, methods[i].state,
               cell(methods[i]), cell(methods[i + 1]));
  }
  fmt::print(
      "\nok = fits into the {} that are available here. The classic rule of 24 bytes a "
      "parameter says {:.0f} GiB for {:.2f} B\nparameters, without activations.\n",
      human(available), static_cast<double>(train::classic_rule(subject.said)) / 0x1p30,
      static_cast<double>(subject.said) * 1e-9);
}

void print_grid(const Planned& subject, std::size_t available) {
  if (subject.ranks.ranks == 1) return;
  const train::GridChoice choice = grid_of(subject, available);
  fmt::print("dist.grid=auto on nodes like this one: {}, {} a rank{}\n\n",
             train::settings_of(choice), human(choice.peak),
             choice.fits ? "" : ", more than there is");
}

/// What a GPU holds.
void show_gpu(const Arguments& arguments, const Planned& subject) {
  const train::GpuMemory memory =
      train::gpu_memory(subject.config, subject.options.train, subject.options.lora, subject.ranks);
  std::vector<std::pair<std::string, std::size_t>> purposes = {
      {"weights", memory.decoder.parameters + memory.decoder.quantized_parameters},
      {"adapters", memory.decoder.adapters},
      {"gradients", memory.decoder.gradients + memory.passing},
      {"optimizer state", memory.optimizer_state},
      {"batch", memory.decoder.pass}};
  if (memory.nccl > 0) purposes.emplace_back("NCCL's buffers", memory.nccl);
  if (arguments.json) {
    Json json = {{"model", subject.name}, {"device", subject.options.train.device}};
    for (const auto& [name, bytes] : purposes) json["purposes"][name] = bytes;
    json["bytes"] = memory.total();
    json["host_bytes"] = memory.host();
    fmt::print("{}\n", dump_json_pretty(json));
    return;
  }
  print_shape(subject);
  if (subject.ranks.ranks > 1) {
    fmt::print("each of {} GPUs (dist.zero = {}, dist.tensor = {}) holds\n", subject.ranks.ranks,
               subject.ranks.zero, subject.ranks.tensor);
  } else {
    fmt::print("{} holds\n", printable(subject.options.train.device));
  }
  for (const auto& [name, bytes] : purposes) fmt::print("{:<16} {:>10}\n", name, human(bytes));
  fmt::print("{:<16} {:>10}, and what the driver takes for itself\n", "together",
             human(memory.total()));
  fmt::print("{:<16} {:>10}: {} of a state to write checkpoints from{}{}\n", "on the host",
             human(memory.host()), human(memory.snapshot),
             memory.pinned > 0 ? fmt::format(", {} pinned", human(memory.pinned)) : "",
             memory.neighbour > 0
                 ? fmt::format(", {} of copies in the nodes' memory", human(memory.neighbour))
                 : "");
}

void show(const Arguments& arguments) {
  Planned subject = subject_of(arguments);
  if (train::numbers_of(subject.options.train).device.is_cuda())
    return show_gpu(arguments, subject);
  const std::size_t available = tensor::available_memory();
  if (subject.options.dist.grid == "auto" && subject.ranks.ranks > 1) {
    const train::GridChoice choice = grid_of(subject, available);
    subject.ranks.zero = choice.zero;
    subject.ranks.tensor = choice.tensor;
  }
  const train::TrainingMemory memory = train::training_memory(subject.config, subject.options.train,
                                                              subject.options.lora, subject.ranks);
  if (arguments.json) {
    fmt::print("{}\n", dump_json_pretty(to_json(subject, memory, available)));
    return;
  }
  print_shape(subject);
  print_phases(memory);
  print_grid(subject, available);
  print_methods(subject, available);
}

}  // namespace

void add_memory(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "memory", "what training a model takes, by purpose and phase, before it starts");
  const auto arguments = std::make_shared<Arguments>();
  verb->add_option("model", arguments->what,
                   "model directory, a size (7b, 500m), or a pipeline file (TOML)")
      ->required()
      ->type_name("MODEL");
  verb->add_option("--set", arguments->sets,
                   "an option of the run, e.g. --set train.method=lora; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->take_all();
  verb->add_option("--ranks", arguments->ranks,
                   "processes that train together (mpirun, srun); [dist] says what they share")
      ->check(CLI::Range(1, 1 << 20))
      ->type_name("N");
  verb->add_option("--ranks-per-node", arguments->ranks_per_node,
                   "of these, those on one node; all, unless said")
      ->check(CLI::Range(1, 1 << 20))
      ->type_name("N");
  verb->add_flag("--json", arguments->json, "for programs: bytes, whole numbers");
  verb->callback([arguments] { show(*arguments); });
}

}  // namespace nativo::cli
