// How fast a whole training step is: forward, backward, gradient norm, clipping, AdamW.
// Not a test: it checks nothing. bench/train_step runs it against PyTorch on the same files.
// Usage:
//   train_step make S|M|tiny FOLDER [rows] [length]   writes FOLDER/model and FOLDER/tokens.json
//   train_step run FOLDER [steps] [threads] [recompute] [f32|bf16|int8]   prints one line of JSON
#include <dnnl.h>
#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "io/file.h"
#include "model/decoder.h"
#include "model/hf_directory.h"
#include "train/data_parallel.h"
#include "train/optimizer.h"

namespace {

using nativo::Json;
using nativo::model::Batch;
using nativo::model::Decoder;
using nativo::model::DecoderConfig;

constexpr int kBatches = 4;  ///< different batches in tokens.json; steps take them in turn

/// S has 32 M parameters, M 207 M.
DecoderConfig named_config(const std::string& name) {
  DecoderConfig config;
  config.max_positions = 4096;
  if (name == "tiny") return nativo::model::preset("tiny", 4096);
  if (name == "S") {
    config.vocab_size = 8192;
    config.hidden_size = 512;
    config.intermediate_size = 1408;
    config.layers = 8;
    config.heads = 8;
    config.kv_heads = 4;
  } else if (name == "M") {
    config.vocab_size = 32000;
    config.hidden_size = 1024;
    config.intermediate_size = 2816;
    config.layers = 12;
    config.heads = 16;
    config.kv_heads = 8;
  } else {
    throw nativo::Error(nativo::ExitCode::kUsage, "the models are S, M and tiny");
  }
  config.head_dim = config.hidden_size / config.heads;
  return config;
}

/// Token ids of a Zipf-like law, as text has: a few are frequent, most are rare.
void make(const std::string& name, const std::filesystem::path& folder, std::int64_t rows,
          std::int64_t length) {
  const DecoderConfig config = named_config(name);
  Decoder decoder(config);
  decoder.initialize(1);
  std::filesystem::create_directories(folder / "model");
  static_cast<void>(nativo::model::write_decoder_files(folder / "model", decoder,
                                                       {.type = nativo::model::StorageType::kF32}));
  nativo::Rng rng(7);
  Json batches = Json::array();
  for (int batch = 0; batch < kBatches; ++batch) {
    Json lines = Json::array();
    for (std::int64_t row = 0; row < rows; ++row) {
      std::vector<std::int64_t> tokens;
      for (std::int64_t t = 0; t < length; ++t) {
        const double rank = std::pow(static_cast<double>(config.vocab_size), rng.uniform());
        tokens.push_back(std::min(static_cast<std::int64_t>(rank), config.vocab_size) - 1);
      }
      lines.push_back(tokens);
    }
    batches.push_back(std::move(lines));
  }
  const Json file = {{"name", name}, {"batches", std::move(batches)}};
  nativo::io::write_file_atomically(folder / "tokens.json", nativo::dump_json(file) + "\n");
}

std::vector<Batch> read_batches(const Json& file) {
  std::vector<Batch> batches;
  for (const Json& rows : file.at("batches")) {
    Batch batch;
    batch.rows = static_cast<std::int64_t>(rows.size());
    batch.length = static_cast<std::int64_t>(rows.at(0).size());
    for (const Json& row : rows) {
      const auto tokens = row.get<std::vector<std::int32_t>>();
      for (std::size_t t = 0; t < tokens.size(); ++t) {
        batch.tokens.push_back(tokens[t]);
        batch.targets.push_back(t + 1 < tokens.size() ? tokens[t + 1] : -1);
        batch.positions.push_back(static_cast<std::int32_t>(t));
        batch.documents.push_back(0);
      }
    }
    batches.push_back(std::move(batch));
  }
  return batches;
}

/// Products and attention, forward and backward (a multiply-add counts as two); nothing recomputed.
double step_flops(const DecoderConfig& config, std::int64_t rows, std::int64_t length) {
  const auto tokens = static_cast<double>(rows * length);
  const double weights =
      static_cast<double>(config.parameter_count() -
                          (config.tie_embeddings ? 0 : config.vocab_size * config.hidden_size));
  double keys = 0.0;
  const std::int64_t window = config.sliding_window.value_or(length);
  for (std::int64_t t = 0; t < length; ++t) keys += static_cast<double>(std::min(t + 1, window));
  const double attention =
      12.0 * keys * static_cast<double>(rows * config.layers * config.heads * config.head_dim);
  return 6.0 * weights * tokens + attention;
}

double peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return 1024.0 * static_cast<double>(usage.ru_maxrss);
}

struct Seconds {
  double wall = 0.0;
  double cpu = 0.0;
};

/// The best of three after one to warm up, each figure by itself.
template <class Body>
Seconds best_of_three(const Body& body) {
  body();
  Seconds best{1e9, 1e9};
  for (int i = 0; i < 3; ++i) {
    const double start = nativo::monotonic_seconds();
    const double cpu = nativo::cpu_seconds();
    body();
    best.wall = std::min(best.wall, nativo::monotonic_seconds() - start);
    best.cpu = std::min(best.cpu, nativo::cpu_seconds() - cpu);
  }
  return best;
}

/// What oneDNN alone takes for the step's linear layers: y = x W^T and both gradients of each, in
/// the model's shapes, called once a shape with all threads.
struct Products {
  double flops = 0.0;
  Seconds seconds;
};

Products library_products(const DecoderConfig& config, std::int64_t tokens) {
  const std::int64_t width = config.hidden_size;
  const std::int64_t q_width = config.heads * config.head_dim;
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> shapes;  // [out, in] to how often
  shapes[{q_width + 2 * config.kv_heads * config.head_dim, width}] += config.layers;
  shapes[{width, q_width}] += config.layers;
  shapes[{2 * config.intermediate_size, width}] += config.layers;
  shapes[{width, config.intermediate_size}] += config.layers;
  shapes[{config.vocab_size, width}] += 1;
  Products sum;
  for (const auto& [shape, count] : shapes) {
    const auto [out, in] = shape;
    // The head in slices: nobody holds all logits of a large vocabulary at once.
    const std::int64_t rows =
        std::min(tokens, std::max<std::int64_t>(256, (std::int64_t{1} << 24) / out));
    const double repeats =
        static_cast<double>(count) * static_cast<double>(tokens) / static_cast<double>(rows);
    std::vector<float> x(static_cast<std::size_t>(rows * in), 0.25F);
    std::vector<float> weight(static_cast<std::size_t>(out * in), 0.5F);
    std::vector<float> y(static_cast<std::size_t>(rows * out), 0.125F);
    const auto product = [](char ta, char tb, std::int64_t m, std::int64_t n, std::int64_t k,
                            const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
                            float* c) {
      return best_of_three([&] {
        if (dnnl_sgemm(ta, tb, m, n, k, 1.0F, a, lda, b, ldb, 0.0F, c, n) != dnnl_success) {
          throw nativo::Error(nativo::ExitCode::kTryAgain, "oneDNN refused a matrix product");
        }
      });
    };
    for (const Seconds& best :
         {product('N', 'T', rows, out, in, x.data(), in, weight.data(), in, y.data()),
          product('N', 'N', rows, in, out, y.data(), out, weight.data(), in, x.data()),
          product('T', 'N', out, in, rows, y.data(), out, x.data(), in, weight.data())}) {
      sum.seconds.wall += repeats * best.wall;
      sum.seconds.cpu += repeats * best.cpu;
      sum.flops += repeats * 2.0 * static_cast<double>(rows) * static_cast<double>(out) *
                   static_cast<double>(in);
    }
  }
  return sum;
}

struct Method {
  nativo::model::Recompute recompute = nativo::model::Recompute::kNorms;
  std::string state = "f32";  ///< of the optimizer
};

void run(const std::filesystem::path& folder, int steps, int threads, const Method& method) {
  const double start = nativo::monotonic_seconds();
  nativo::set_thread_count(threads);
  const std::string tokens_path = (folder / "tokens.json").string();
  const Json file = nativo::parse_json(nativo::io::read_file(tokens_path), tokens_path);
  const std::vector<Batch> batches = read_batches(file);
  Decoder decoder = nativo::model::load_decoder(folder / "model");
  // As nativo train does for a step that is one batch.
  decoder.enable_gradients(nativo::model::GradientMemory::kShared);
  nativo::train::DataParallel alone(nullptr, decoder, 0);
  nativo::train::Optimizer optimizer(
      std::as_const(decoder).parameters(),
      {.beta1 = 0.9,
       .beta2 = 0.95,
       .eps = 1e-8,
       .weight_decay = 0.1,
       .clip_norm = 1.0,
       .state = nativo::train::state_type_from_option(method.state)});

  Json losses = Json::array();
  Json norms = Json::array();
  Json wall = Json::array();
  Json cpu = Json::array();
  double first_step = 0.0;
  for (int step = 0; step < steps; ++step) {
    const double wall_start = nativo::monotonic_seconds();
    const double cpu_start = nativo::cpu_seconds();
    const Batch& batch = batches[static_cast<std::size_t>(step) % batches.size()];
    const auto targets = static_cast<double>(
        std::count_if(batch.targets.begin(), batch.targets.end(), [](auto t) { return t >= 0; }));
    decoder.zero_gradients();
    const auto sum = decoder.forward_backward(
        batch, {.scale = static_cast<float>(1.0 / targets), .recompute = method.recompute});
    const double norm = alone.gradient_norm();
    optimizer.update(decoder.parameters(), step + 1, 1e-3, norm);
    wall.push_back(nativo::monotonic_seconds() - wall_start);
    cpu.push_back(nativo::cpu_seconds() - cpu_start);
    losses.push_back(sum.loss / targets);
    norms.push_back(norm);
    if (step == 0) first_step = nativo::monotonic_seconds() - start;
  }
  const double rss = peak_rss_bytes();
  const std::int64_t tokens = batches.front().rows * batches.front().length;
  const Products products = library_products(decoder.config(), tokens);
  const Json out = {{"system", "nativo f32"},
                    {"recompute", nativo::model::recompute_name(method.recompute)},
                    {"optimizer_state", method.state},
                    {"model", file.at("name")},
                    {"parameters", decoder.config().parameter_count()},
                    {"threads", nativo::thread_count()},
                    {"tokens_per_step", tokens},
                    {"flops_per_step",
                     step_flops(decoder.config(), batches.front().rows, batches.front().length)},
                    {"loss", losses},
                    {"grad_norm", norms},
                    {"wall_seconds", wall},
                    {"cpu_seconds", cpu},
                    {"first_step_after_seconds", first_step},
                    {"peak_rss_bytes", rss},
                    {"onednn_gflops", products.flops / products.seconds.wall / 1e9},
                    {"onednn_gflops_per_cpu_second", products.flops / products.seconds.cpu / 1e9}};
  fmt::print("{}\n", nativo::dump_json(out));
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto number = [&](std::size_t index, std::int64_t otherwise) {
    return arguments.size() > index ? std::strtoll(arguments[index].c_str(), nullptr, 10)
                                    : otherwise;
  };
  try {
    if (arguments.size() >= 3 && arguments[0] == "make") {
      make(arguments[1], arguments[2], number(3, 4), number(4, 512));
    } else if (arguments.size() >= 2 && arguments[0] == "run") {
      Method method;
      if (arguments.size() > 4) {
        const auto rung = nativo::model::recompute_from_name(arguments[4]);
        if (!rung) {
          throw nativo::Error(nativo::ExitCode::kUsage, "unknown recompute " + arguments[4]);
        }
        method.recompute = *rung;
      }
      if (arguments.size() > 5) method.state = arguments[5];
      run(arguments[1], static_cast<int>(number(2, 6)), static_cast<int>(number(3, 0)), method);
    } else {
      fmt::print(stderr,
                 "usage: train_step make S|M|tiny FOLDER [rows] [length]\n"
                 "       train_step run FOLDER [steps] [threads] [recompute] [state]\n");
      return static_cast<int>(nativo::ExitCode::kUsage);
    }
  } catch (const nativo::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
  }
  return 0;
}
