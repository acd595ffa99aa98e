#include "cli/simulate.h"

#include <fmt/format.h>

#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "cli/subject.h"
#include "config/config_file.h"
#include "train/devices.h"

namespace nativo::cli {
namespace {

struct Line {
  train::Cluster cluster = {};
  train::ScalingEstimate estimate = {};
  std::int64_t batch_tokens = 0;
  double hours = 0.0;  ///< of the whole training
  double cost = 0.0;
  std::optional<double> mfu = {};  ///< of the devices' peak, where the data sheet's is known
};

std::vector<Line> estimate(const Subject& subject, const train::SimulationOptions& simulation) {
  std::vector<Line> lines;
  for (train::Cluster& cluster : simulation.clusters()) {
    train::TrainOptions options = subject.options.train;
    if (simulation.rows > 0) {
      options.batch_tokens = simulation.rows * options.seq_len * cluster.ranks();
    }
    Line line{.cluster = cluster, .batch_tokens = options.batch_tokens};
    line.estimate = train::estimate_step(subject.config, options, subject.options.lora,
                                         subject.options.dist, cluster);
    line.hours = simulation.tokens / line.estimate.tokens_per_second / 3600.0;
    line.cost = line.hours * static_cast<double>(cluster.ranks()) * simulation.price;
    if (cluster.device.peak_tflops > 0.0) {
      line.mfu = line.estimate.utilisation * cluster.device.tflops / cluster.device.peak_tflops;
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

Json to_json(const Line& line) {
  const train::ScalingEstimate& of = line.estimate;
  return {{"nodes", line.cluster.nodes},
          {"ranks", line.cluster.ranks()},
          {"batch_tokens", line.batch_tokens},
          {"seconds",
           {{"step", of.time.step},
            {"compute", of.time.compute},
            {"exchange", of.time.exchange},
            {"exchange_exposed", of.time.exposed},
            {"update", of.time.update},
            {"gather", of.time.gather},
            {"tensor", of.time.tensor},
            {"small", of.time.small},
            {"save", of.time.save}}},
          {"tokens_per_second", of.tokens_per_second},
          {"utilisation", of.utilisation},
          {"mfu", line.mfu ? Json(*line.mfu) : Json()},
          {"memory_bytes", of.memory},
          {"fits", of.fits},
          {"idle_ranks", of.idle_ranks},
          {"hours", line.hours},
          {"cost", line.cost}};
}

void print_table(const Subject& subject, const train::SimulationOptions& simulation,
                 const std::vector<Line>& lines) {
  const train::TrainOptions& options = subject.options.train;
  const train::DistOptions& dist = subject.options.dist;
  const train::Cluster& first = lines.front().cluster;
  fmt::print("{}: {:.2f} M parameters, train.method {}, rows of {}, ZeRO {}{}\n",
             printable(subject.name), static_cast<double>(subject.config.parameter_count()) * 1e-6,
             options.method, options.seq_len, subject.options.dist.zero,
             dist.tensor > 1 ? fmt::format(", {} tensor parallel ranks", dist.tensor) : "");
  fmt::print("{} x {}, {} GB/s a node between nodes\n  {}\n\n", first.ranks_per_node,
             printable(first.device.about), simulation.link, printable(first.device.source));
  fmt::print("{:>6} {:>6} {:>10} {:>9} {:>8} {:>8} {:>8} {:>11} {:>6} {:>10} {:>9} {:>11}\n",
             "nodes", "ranks", "batch", "step", "compute", "waiting", "update", "tokens/s", "util.",
             "memory", "hours", "cost");
  bool any_unfit = false;
  bool any_idle = false;
  for (const Line& line : lines) {
    const train::ScalingEstimate& of = line.estimate;
    const double waiting =
        of.time.tensor + of.time.exposed + of.time.gather + of.time.small + of.time.save;
    const std::string cost = simulation.price > 0.0 ? fmt::format("{:.0f}", line.cost) : "-";
    fmt::print(
        "{:>6} {:>6} {:>10} {:>7.3f} s {:>7.1f}% {:>7.1f}% {:>7.1f}% {:>11.0f} {:>5.1f}% {:>9}{} "
        "{:>9.1f} {:>11}{}\n",
        line.cluster.nodes, line.cluster.ranks(), line.batch_tokens, of.time.step,
        100.0 * of.time.compute / of.time.step, 100.0 * waiting / of.time.step,
        100.0 * of.time.update / of.time.step, of.tokens_per_second,
        100.0 * line.mfu.value_or(of.utilisation), human_bytes(static_cast<double>(of.memory)),
        of.fits ? ' ' : '!', line.hours, cost, of.idle_ranks ? " *" : "");
    any_unfit |= !of.fits;
    any_idle |= of.idle_ranks;
  }
  fmt::print(
      "\nhours{}: of {:.3g} tokens. compute, waiting (sums, gathers, checkpoints) and update are "
      "shares of the step.\nutil.: of {}; what is recomputed is no work.\n",
      simulation.price > 0.0 ? fmt::format(" and cost (at {} an hour and GPU)", simulation.price)
                             : std::string(),
      simulation.tokens,
      lines.front().mfu
          ? fmt::format("the data sheet's {:g} TFLOP/s (model FLOPs utilisation, MFU)",
                        first.device.peak_tflops)
          : fmt::format("the {:g} TFLOP/s that training reaches there", first.device.tflops));
  if (any_unfit) fmt::print("! more than a rank has: see nativo memory --ranks\n");
  if (any_idle) {
    fmt::print("* fewer rows in a step than ranks: some have none. rows=N gives each rank N\n");
  }
  fmt::print("An estimate: docs/scaling.md says what it leaves out, and how far it was off.\n");
}

}  // namespace

void Simulation::add_to(CLI::App& verb) {
  verb.add_option("model", model, "with --simulate: a model directory or a size (7b, 500m)")
      ->type_name("MODEL");
  verb.add_option("--simulate", settings,
                  "estimate the training on a cluster: nodes=1-512,gpus=8,link=50,device=h100-sxm,"
                  "price=2.5,rows=8,tokens=1e9,disk=10,latency=20,devices=FILE (docs/scaling.md)")
      ->type_name("KEY=VALUE,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->take_all();
  verb.add_flag("--json", json, "with --simulate: for programs");
}

void Simulation::show(const ConfigArguments& config) const {
  if (model.empty() == config.file.empty()) {
    throw Error(ExitCode::kUsage, "plan --simulate: give either a model or -c FILE",
                "nativo plan 7b --simulate gpus=8,link=50");
  }
  const Subject subject = read_subject(model.empty() ? config.file : model, config.sets);
  train::SimulationOptions simulation;
  std::vector<std::string> words = settings;
  for (std::string& word : words) {  // a number of nodes is a range, too
    if (word.starts_with("nodes=")) word = "nodes='" + word.substr(6) + "'";
  }
  config::ConfigFile(words, "--simulate").read(simulation);
  const std::vector<Line> lines = estimate(subject, simulation);
  if (!json) return print_table(subject, simulation, lines);
  Json all = Json::array();
  for (const Line& line : lines) all.push_back(to_json(line));
  const train::DeviceModel& device = lines.front().cluster.device;
  fmt::print("{}\n",
             dump_json_pretty({{"model", subject.name},
                               {"device", {{"about", device.about}, {"source", device.source}}},
                               {"estimates", all}}));
}

}  // namespace nativo::cli
