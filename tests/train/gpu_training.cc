// A rank of trainings under mpirun, each rank with a GPU of its own: gpu_training CASE. Trains on
// some of the ranks, as many as each run wants, and compares what comes of it. Exits with 1 and a
// line that says what differs.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "dist/grid.h"
#include "dist/nccl.h"
#include "dist/own_gpu.h"
#include "dist/world.h"
#include "model/lora_config.h"
#include "train/data_parallel.h"
#include "train/micro.h"
#include "train/optimizer.h"
#include "train/plan.h"
#include "train/step_bench.h"
#include "train/training_memory.h"

namespace {

using namespace nativo;
namespace fs = std::filesystem;

void require(bool condition, const std::string& what) {
  if (!condition) throw std::logic_error(what);
}

// Two pieces of the norm in the embedding, so that it is cut inside; heads for two parts.
model::DecoderConfig config() {
  model::DecoderConfig wide = train::micro::config();
  wide.vocab_size = 2048;
  wide.heads = 4;
  wide.kv_heads = 2;
  return wide;
}

/// One training, of the first `ranks` ranks.
struct How {
  int ranks = 1;
  std::int64_t zero = 1;
  std::int64_t tensor = 1;
  std::string method = "full";
  bool on_cpu = false;
  tensor::DType type = tensor::DType::kF32;
  bool fp8 = false;
  std::string crossing = "auto";
  std::string state = "f32";
  std::int64_t steps = 4;
  std::function<void(train::TrainInput&)> change = {};
};

using Losses = std::vector<double>;

class Trainings {
 public:
  explicit Trainings(dist::Communicator& world) : world_(world), device_(dist::own_gpu(world)) {
    root_ = dist::broadcast_text(
        world, (fs::temp_directory_path() / fmt::format("gpu_training-{}", ::getpid())).native(),
        0);
    if (world.is_root()) fs::create_directories(root_);
    world.barrier();
  }
  ~Trainings() {
    std::error_code ignored;
    if (world_.is_root()) fs::remove_all(root_, ignored);
  }

  [[nodiscard]] fs::path folder(const std::string& name) const { return fs::path(root_) / name; }
  [[nodiscard]] dist::Communicator& world() const { return world_; }
  [[nodiscard]] const tensor::Device& device() const { return device_; }
  /// Of the last one.
  [[nodiscard]] const train::TrainResult& result() const { return result_; }

  /// The losses and norms of a training in `name`, which goes on with what is there. The first rank
  /// has them.
  Losses run(const std::string& name, const How& how) {
    const auto part = world_.split(world_.rank() < how.ranks ? 0 : 1, world_.rank());
    if (world_.rank() < how.ranks) train(name, how, *part);
    world_.barrier();
    return world_.is_root() ? losses(name) : Losses();
  }

  void expect_close(const Losses& mine, const Losses& theirs, double relative,
                    const std::string& what) const {
    if (!world_.is_root()) return;
    require(mine.size() == theirs.size() && !mine.empty(), what + ": as many steps");
    double worst = 0.0;
    for (std::size_t i = 0; i < mine.size(); ++i) {
      worst = std::max(worst, std::abs(mine[i] / theirs[i] - 1.0));
    }
    fmt::print("{}: within {:.1e} of {:.1e}\n", what, worst, relative);
    require(worst <= relative, what + ": losses differ");
  }

 private:
  void train(const std::string& name, const How& how, dist::Communicator& host) {
    std::unique_ptr<dist::Communicator> gpus;
    model::Numbers numbers;
    if (!how.on_cpu) {
      numbers = {how.type, device_, how.fp8};
      gpus = dist::connect_nccl(host, device_);
    }
    dist::Communicator& ranks = gpus ? *gpus : host;
    dist::Grid grid(&ranks, how.tensor);
    model::Decoder decoder(config(), train::quantization_of(how.method, {}),
                           train::decoder_ranks(grid, how.zero), numbers);
    train::micro::fill(decoder);
    if (how.method != "full") {
      model::LoraOptions options;
      options.rank = 4;
      options.dropout = 0.1;
      decoder.attach_lora(model::resolve_lora(options, decoder.config()), 3);
    }
    train::TrainInput input = train::micro::input(decoder, folder(name));
    input.options.batch_tokens = 4 * input.options.seq_len;
    input.options.micro_batch = 1;
    input.options.max_steps = how.steps;
    input.options.lr = 1e-3;
    input.options.eps = 1e-5;
    input.options.schedule = "constant";
    input.options.warmup_ratio = 0.0;
    input.options.checkpoint_every = 2;
    input.options.eval_every = 0;
    input.options.optimizer_state = how.state;
    input.options.device = how.on_cpu ? "cpu" : "cuda";
    input.options.precision = how.fp8 ? "fp8" : how.type == tensor::DType::kBf16 ? "bf16" : "f32";
    input.options.method = how.method;
    input.heldout = train::micro::examples(1, 2);
    input.dist.zero = how.zero;
    input.dist.tensor = how.tensor;
    input.dist.gradient_type = how.crossing;
    input.dist.timeout = 60.0;
    input.grid = &grid;
    if (how.change) how.change(input);
    result_ = train::train(input);
  }

  [[nodiscard]] Losses losses(const std::string& name) const {
    Losses all;
    double held_out = 0.0;  // after the last step
    for (const std::string& line : train::micro::metrics(folder(name))) {
      const Json json = parse_json(line, "metrics");
      for (const char* key : {"loss", "grad_norm"}) {
        if (!json.contains(key)) continue;
        all.push_back(json[key].is_null() ? -1.0 : json[key].get<double>());  // null: a spike's
      }
      if (json.contains("eval_loss")) held_out = json["eval_loss"].get<double>();
    }
    all.push_back(held_out);
    return all;
  }

  dist::Communicator& world_;
  tensor::Device device_;
  std::string root_;
  train::TrainResult result_;
};

// f32 sums in another order: 1e-7 a step.
constexpr double kOrder = 1e-6;
// Gradients are off by a few roundings of 2^-9, and move losses by the learning rate's share of it.
constexpr double kBf16 = 0.002;

void data_parallel(Trainings& trainings) {
  const Losses one = trainings.run("one", {});
  for (const int ranks : {2, 4}) {
    for (const std::int64_t zero : {0, 1}) {
      const std::string name = fmt::format("{} ranks, zero {}", ranks, zero);
      trainings.expect_close(trainings.run(name, {.ranks = ranks, .zero = zero}), one, kOrder,
                             name);
    }
  }
  const Losses cpu = trainings.run("cpu", {.on_cpu = true});
  trainings.expect_close(one, cpu, 1e-4, "one GPU and the CPU");
}

/// One rank, whatever [dist] says: there may be no NCCL where it trains.
void alone(Trainings& trainings) {
  const Losses one = trainings.run("one", {});
  for (const std::int64_t zero : {0, 2, 3}) {
    const std::string name = fmt::format("alone, zero {}", zero);
    const How how{.zero = zero, .crossing = "bf16"};
    trainings.expect_close(trainings.run(name, how), one, 0.0, name);
  }
}

void sharded(Trainings& trainings) {
  const Losses one = trainings.run("one", {});
  for (const std::int64_t zero : {2, 3}) {
    for (const int ranks : {2, 4}) {
      const std::string name = fmt::format("{} ranks, zero {}", ranks, zero);
      trainings.expect_close(trainings.run(name, {.ranks = ranks, .zero = zero}), one, kOrder,
                             name);
    }
  }
}

void tensor_parallel(Trainings& trainings) {
  const Losses one = trainings.run("one", {});
  trainings.expect_close(trainings.run("tp 2", {.ranks = 2, .tensor = 2}), one, kOrder, "tp 2");
  for (const std::int64_t zero : {1, 3}) {
    const std::string name = fmt::format("dp 2 x tp 2, zero {}", zero);
    trainings.expect_close(trainings.run(name, {.ranks = 4, .zero = zero, .tensor = 2}), one,
                           kOrder, name);
  }
}

void lora(Trainings& trainings) {
  for (const char* method : {"lora", "qlora-int8", "qlora-nf4"}) {
    const Losses one = trainings.run(fmt::format("{}, one", method), {.method = method});
    for (const std::int64_t zero : {1, 2, 3}) {
      const std::string name = fmt::format("{}, 4 ranks, zero {}", method, zero);
      trainings.expect_close(trainings.run(name, {.ranks = 4, .zero = zero, .method = method}), one,
                             kOrder, name);
    }
  }
}

void bf16(Trainings& trainings) {
  const auto of = [](int ranks, std::int64_t zero, const char* crossing) {
    return How{.ranks = ranks,
               .zero = zero,
               .type = tensor::DType::kBf16,
               .crossing = crossing,
               .state = "int8"};
  };
  const Losses one = trainings.run("one", of(1, 1, "auto"));
  for (const std::int64_t zero : {1, 2, 3}) {
    for (const char* crossing : {"auto", "f32"}) {
      const std::string name = fmt::format("bf16, 4 ranks, zero {}, crossing {}", zero, crossing);
      trainings.expect_close(trainings.run(name, of(4, zero, crossing)), one, kBf16, name);
    }
  }
}

/// Rows are computed one by one by one GPU, too, and so have the same codes; of tensor-parallel
/// ranks each scales its own part.
void fp8(Trainings& trainings) {
  const auto of = [](int ranks, std::int64_t zero, std::int64_t tensor) {
    return How{
        .ranks = ranks, .zero = zero, .tensor = tensor, .type = tensor::DType::kBf16, .fp8 = true};
  };
  const Losses one = trainings.run("one", of(1, 1, 1));
  for (const std::int64_t zero : {1, 2, 3}) {
    const std::string name = fmt::format("fp8, 4 ranks, zero {}", zero);
    trainings.expect_close(trainings.run(name, of(4, zero, 1)), one, kBf16, name);
  }
  trainings.expect_close(trainings.run("fp8, tp 2", of(2, 1, 2)), one, kBf16, "fp8, tp 2");
}

/// What waits on the hosts changes no bit of what the ranks train.
void offload(Trainings& trainings) {
  for (const std::int64_t zero : {1, 2, 3}) {
    for (const int ranks : {2, 4}) {
      How how{.ranks = ranks, .zero = zero, .state = ranks == 2 ? "f32" : "int8"};
      how.change = [](train::TrainInput& input) { input.options.recompute = "block"; };
      const std::string kept = fmt::format("{} ranks, zero {}", ranks, zero);
      const Losses expected = trainings.run(kept, how);
      how.change = [](train::TrainInput& input) {
        input.options.recompute = "block";
        input.options.offload = {"optimizer", "activations"};
      };
      const std::string name = kept + ", offloaded";
      trainings.expect_close(trainings.run(name, how), expected, 0.0, name);
      require(!trainings.world().is_root() ||
                  train::micro::checkpoint_bytes(trainings.folder(name), 4) ==
                      train::micro::checkpoint_bytes(trainings.folder(kept), 4),
              name + ": the same bits");
    }
  }
}

/// A token whose weights are no numbers, in the data of the third step.
void poison(train::TrainInput& input) {
  constexpr std::size_t kPoison = 1;  // no example of micro::examples() has it
  train::TrainPlan plan(input.train, input.options, input.decoder.config());
  const train::Piece& piece = plan.rows(3, 0).back()->pieces[0];
  input.train[piece.example].tokens[1] = kPoison;
  const tensor::AnyView embedding = input.decoder.parameters()[0].stored;
  std::vector<float> values(tensor::elements(embedding));
  tensor::read(embedding, values);
  values[kPoison * static_cast<std::size_t>(input.decoder.config().hidden_size)] =
      std::numeric_limits<float>::quiet_NaN();
  tensor::write(values, embedding);
}

void spikes(Trainings& trainings) {
  for (const char* policy : {"rollback", "skip"}) {
    How how{.steps = 6};
    how.change = [policy](train::TrainInput& input) {
      poison(input);
      input.options.on_spike = policy;
    };
    const Losses one = trainings.run(fmt::format("{}, one", policy), how);
    how.ranks = 4;
    for (const std::int64_t zero : {1, 2, 3}) {
      how.zero = zero;
      const std::string name = fmt::format("{}, 4 ranks, zero {}", policy, zero);
      trainings.expect_close(trainings.run(name, how), one, kOrder, name);
      const train::TrainResult& result = trainings.result();
      require(result.rollbacks + result.skipped_steps == 1, name + ": one spike");
    }
  }
}

/// All ranks are lost after the fifth step; what they go on from lies in the nodes' memory.
void neighbours(Trainings& trainings) {
  for (const std::int64_t zero : {1, 3}) {
    const std::string whole = fmt::format("whole, zero {}", zero);
    How how{.ranks = 4, .zero = zero, .state = "int8", .steps = 6};
    const auto with_copies = [&](train::TrainInput& input) {
      const fs::path memory =
          trainings.folder(fmt::format("memory-{}", input.grid->world().place().node));
      fs::create_directories(memory);
      input.options.checkpoint_every = 100;
      input.options.offload = {"optimizer"};
      input.dist.neighbour_every = 2;
      input.dist.neighbour_dir = memory;
    };
    how.change = with_copies;
    trainings.run(whole, how);
    const std::string lost = fmt::format("lost, zero {}", zero);
    const auto copies = [&] {
      int found = 0;
      for (const auto& entry : fs::recursive_directory_iterator(trainings.folder(""))) {
        const std::string name = entry.path().filename().native();
        const bool is_whole = name.ends_with(".own") || name.ends_with(".neighbour");
        if (name.starts_with("step-00000004") && is_whole) ++found;
      }
      return found;
    };
    How first = how;
    first.change = [&](train::TrainInput& input) {
      with_copies(input);
      auto steps = std::make_shared<int>(0);
      input.should_stop = [&, steps] {
        if (++*steps < 5) return false;
        for (int i = 0; i < 3000 && copies() < 8; ++i) {  // each rank's own, and its neighbour's
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        throw Error(ExitCode::kInternal, "killed");
      };
    };
    std::string reason;
    try {
      trainings.run(lost, first);
    } catch (const Error& error) {
      reason = error.what();
    }
    require(reason == "killed", "it was to be lost, not: " + reason);
    trainings.world().barrier();
    trainings.run(lost, how);
    require(trainings.result().resumed_from == 4, "it goes on from the fourth step's copy");
    require(!trainings.world().is_root() ||
                train::micro::checkpoint_bytes(trainings.folder(lost), 6) ==
                    train::micro::checkpoint_bytes(trainings.folder(whole), 6),
            "the bits of a run that was not lost");
  }
}

void crossing(Trainings& trainings) {
  const Losses one = trainings.run("one", {});
  for (const std::int64_t zero : {0, 1, 2}) {
    const std::string name = fmt::format("f32, crossing in bf16, zero {}", zero);
    trainings.expect_close(trainings.run(name, {.ranks = 4, .zero = zero, .crossing = "bf16"}), one,
                           kBf16, name);
  }
}

/// Saved by four GPUs; gone on with by others, as if nothing had happened.
void checkpoints(Trainings& trainings) {
  for (const std::int64_t zero : {1, 3}) {
    const std::string whole = fmt::format("whole-{}", zero);
    const How four{.ranks = 4, .zero = zero, .steps = 6};
    const Losses through = trainings.run(whole, four);
    How first = four;
    first.steps = 4;
    const auto resumed = [&](const std::string& name, const How& how) {
      trainings.run(name, first);
      const Losses mine = trainings.run(name, how);
      trainings.expect_close(mine, through, how.on_cpu ? 1e-4 : kOrder, name);
    };
    How how = four;
    const std::string same = fmt::format("four again, zero {}", zero);
    resumed(same, how);
    if (trainings.world().is_root()) {
      require(train::micro::checkpoint_bytes(trainings.folder(same), 6) ==
                  train::micro::checkpoint_bytes(trainings.folder(whole), 6),
              "the same ranks end with the same bits");
    }
    how.ranks = 2;
    resumed(fmt::format("on two, zero {}", zero), how);
    how.ranks = 1;
    resumed(fmt::format("on one, zero {}", zero), how);
    how.on_cpu = true;
    resumed(fmt::format("on the CPU, zero {}", zero), how);
    how.ranks = 2;
    resumed(fmt::format("on two CPUs, zero {}", zero), how);
  }
}

/// Rank 1 stays away in the second step.
void missing(Trainings& trainings) {
  const auto begun = std::chrono::steady_clock::now();
  const bool is_it = trainings.world().rank() == 1;
  How how{.ranks = 2, .steps = 50};
  how.change = [is_it](train::TrainInput& input) {
    input.dist.timeout = 2.0;
    input.options.batch_tokens = 8 * input.options.seq_len;
    auto asked = std::make_shared<int>(0);
    input.should_stop = [is_it, asked] {
      if (is_it && ++*asked > 4) std::this_thread::sleep_for(std::chrono::minutes(1));
      return false;
    };
  };
  try {
    static_cast<void>(trainings.run("missing", how));
  } catch (const Error& error) {
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    fmt::print(stderr, "{} (after {:.1f} s)\n", error.what(), seconds);
    std::_Exit(static_cast<int>(error.code()));
  }
}

/// What the largest rank reserves, against the plan. Tensors are whole pieces of the norm, so that
/// the ranks' shares are equal.
void memory(Trainings& trainings) {
  model::DecoderConfig square = train::micro::config();
  square.vocab_size = 512;
  square.hidden_size = 128;
  square.intermediate_size = 512;
  square.heads = square.kv_heads = 16;
  square.head_dim = 32;
  struct Case {
    std::int64_t zero;
    std::int64_t tensor;
    const char* crossing;
  };
  for (const Case& of :
       {Case{0, 1, "auto"}, Case{1, 1, "auto"}, Case{1, 2, "auto"}, Case{2, 1, "auto"},
        Case{2, 1, "bf16"}, Case{3, 1, "auto"}, Case{3, 2, "auto"}}) {
    const auto part = trainings.world().split(0, trainings.world().rank());
    const auto gpus = dist::connect_nccl(*part, trainings.device());
    dist::Grid grid(gpus.get(), of.tensor);
    train::StepBench bench{.config = square,
                           .options = {},
                           .lora = {},
                           .dist = {},
                           .numbers = {tensor::DType::kF32, trainings.device()},
                           .grid = &grid,
                           .steps = 1};
    bench.options.seq_len = 16;
    bench.options.micro_batch = 1;
    bench.options.device = "cuda";
    bench.options.precision = "f32";
    bench.dist.zero = of.zero;
    bench.dist.tensor = of.tensor;
    bench.dist.gradient_type = of.crossing;
    const train::StepFigures figures = train::measure_steps(bench);
    const auto mine = static_cast<double>(figures.memory.total() + figures.optimizer_state);
    double most = 0.0;
    for (const double reserved : dist::all_gather_numbers(*part, std::span(&mine, 1))) {
      most = std::max(most, reserved);
    }
    const double ratio = most / static_cast<double>(figures.planned);
    const std::string what =
        fmt::format("zero {}, tensor {}, crossing {}: {:.0f} bytes reserved, {:+.2f} % of the plan",
                    of.zero, of.tensor, of.crossing, most, 100.0 * (ratio - 1.0));
    if (trainings.world().is_root()) fmt::print("{}\n", what);
    require(std::abs(ratio - 1.0) < 0.02, what);
    require(figures.loss > 1.0 && figures.loss < 10.0, "a loss near log V");
    require(figures.ranks == 4 && figures.waited >= 0.0, "what all ranks did");
  }
}

const std::map<std::string, void (*)(Trainings&)> kCases = {
    {"alone", alone},       {"data_parallel", data_parallel},
    {"sharded", sharded},   {"tensor_parallel", tensor_parallel},
    {"lora", lora},         {"bf16", bf16},
    {"fp8", fp8},           {"offload", offload},
    {"spikes", spikes},     {"neighbours", neighbours},
    {"crossing", crossing}, {"checkpoints", checkpoints},
    {"missing", missing},   {"memory", memory}};

}  // namespace

int main(int argc, char** argv) {
  const auto found = kCases.find(argc > 1 ? argv[1] : "");
  if (found == kCases.end()) return 2;
  try {
    set_thread_count(1);
    const auto world = dist::connect();
    Trainings trainings(*world);
    found->second(trainings);
    world->barrier();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    std::fflush(nullptr);
    std::_Exit(1);
  }
}
