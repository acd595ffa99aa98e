// Two results side by side: eval.h's compare() and comparison_table().
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/strings.h"
#include "eval/bootstrap.h"
#include "eval/eval.h"

namespace nativo::eval {
namespace {

/// One metric of one model: its value and its bootstrap draws.
struct Estimate {
  double value = 0.0;
  std::vector<double> draws;
};

struct Pair {
  Estimate base;
  Estimate tuned;
};

Json rounded_interval(const Estimate& estimate, double confidence) {
  const Interval interval = percentile_interval(estimate.draws, confidence);
  return {{"value", estimate.value}, {"low", interval.low}, {"high", interval.high}};
}

Json difference(const Pair& pair, double points, double confidence) {
  std::vector<double> draws(pair.base.draws.size());
  for (std::size_t r = 0; r < draws.size(); ++r) {
    draws[r] = points * (pair.tuned.draws[r] - pair.base.draws[r]);
  }
  const Interval interval = percentile_interval(std::move(draws), confidence);
  const double change = pair.tuned.value - pair.base.value;
  Json relative;
  if (pair.base.value != 0.0) relative = 100.0 * change / std::abs(pair.base.value);
  return {{"points", points * change},
          {"low", interval.low},
          {"high", interval.high},
          {"relative", relative}};
}

void put_estimates(Json& entry, const Pair& pair, double points, double confidence) {
  entry["base"] = rounded_interval(pair.base, confidence);
  entry["tuned"] = rounded_interval(pair.tuned, confidence);
  entry["difference"] = difference(pair, points, confidence);
}

const TaskResult& partner(const EvalResult& tuned, const TaskResult& task) {
  const auto found = std::ranges::find(tuned.tasks, task.name, &TaskResult::name);
  const bool comparable =
      found != tuned.tasks.end() && found->fingerprint == task.fingerprint &&
      found->items() == task.items() &&
      std::ranges::equal(found->columns, task.columns, {}, &Column::metric, &Column::metric);
  if (!comparable) {
    throw Error(
        ExitCode::kData,
        fmt::format("the two models were not asked the same in \"{}\"", printable(task.name)),
        "evaluate both again with the same options and files");
  }
  return *found;
}

/// All metrics of a task, resampled together.
std::vector<Pair> resample(const TaskResult& base, const TaskResult& tuned,
                           const EvalOptions& options) {
  std::vector<std::span<const double>> columns;
  for (std::size_t c = 0; c < base.columns.size(); ++c) {
    columns.emplace_back(base.columns[c].items);
    columns.emplace_back(tuned.columns[c].items);
  }
  std::vector<std::vector<double>> means =
      bootstrap_means(columns, options.resamples, options.seed, base.name);
  std::vector<Pair> pairs;
  for (std::size_t c = 0; c < base.columns.size(); ++c) {
    const Metric& known = metric(base.columns[c].metric);
    for (auto* draws : {&means[2 * c], &means[2 * c + 1]}) {
      for (double& draw : *draws) draw = aggregate(known, draw);
    }
    pairs.push_back({.base = {base.columns[c].value(), std::move(means[2 * c])},
                     .tuned = {tuned.columns[c].value(), std::move(means[2 * c + 1])}});
  }
  return pairs;
}

/// The unweighted mean over tasks; tasks are resampled independently of each other.
Json average(const std::vector<Pair>& headline, std::int64_t resamples, double confidence) {
  Pair mean;
  mean.base.draws.assign(static_cast<std::size_t>(resamples), 0.0);
  mean.tuned.draws = mean.base.draws;
  const double share = 1.0 / static_cast<double>(headline.size());
  const auto add = [share](const Estimate& from, Estimate& to) {
    to.value += share * from.value;
    for (std::size_t r = 0; r < to.draws.size(); ++r) to.draws[r] += share * from.draws[r];
  };
  for (const Pair& pair : headline) {
    add(pair.base, mean.base);
    add(pair.tuned, mean.tuned);
  }
  Json entry = {{"metric", "mean of acc, f1 for question answering"}, {"tasks", headline.size()}};
  put_estimates(entry, mean, 100.0, confidence);
  return entry;
}

std::string number(double value, bool share) {
  return share ? fmt::format("{:.1f}%", 100.0 * value) : fmt::format("{:.4g}", value);
}

std::string row(const std::string& name, std::string_view what, const Json& entry, bool share) {
  const Json& change = entry["difference"];
  const std::string interval = share
                                   ? fmt::format("[{:+.1f}, {:+.1f}]", change["low"].get<double>(),
                                                 change["high"].get<double>())
                                   : fmt::format("[{:+.3g}, {:+.3g}]", change["low"].get<double>(),
                                                 change["high"].get<double>());
  const double points = change["points"].get<double>();
  const Json& relative = change["relative"];
  return fmt::format("{:<20} {:<13} {:>9} {:>9} {:>10} {:>18} {:>10}\n", name, what,
                     number(entry["base"]["value"].get<double>(), share),
                     number(entry["tuned"]["value"].get<double>(), share),
                     share ? fmt::format("{:+.1f} pt", points) : fmt::format("{:+.3g}", points),
                     interval,
                     relative.is_null() ? "" : fmt::format("{:+.1f}%", relative.get<double>()));
}

}  // namespace

Json compare(const EvalResult& base, const EvalResult& tuned, const EvalOptions& options) {
  if (base.tasks.size() != tuned.tasks.size()) {
    throw Error(ExitCode::kData, "the two models were not asked the same tasks",
                "evaluate both again with the same options");
  }
  Json tasks = Json::array();
  std::vector<Pair> headline;
  for (const TaskResult& task : base.tasks) {
    const std::vector<Pair> pairs = resample(task, partner(tuned, task), options);
    bool has_acc = false;
    for (std::size_t c = 0; c < pairs.size(); ++c) {
      const Metric& known = metric(task.columns[c].metric);
      Json entry = {{"name", task.name},
                    {"kind", task.kind},
                    {"metric", known.name},
                    {"higher_is_better", known.higher_is_better},
                    {"items", task.items()}};
      put_estimates(entry, pairs[c], known.points, options.confidence);
      tasks.push_back(std::move(entry));
      has_acc = has_acc || known.name == "acc";
      if (known.name == "acc" || (known.name == "f1" && !has_acc)) headline.push_back(pairs[c]);
    }
  }
  Json json = {{"format", 1},
               {"confidence", options.confidence},
               {"resamples", options.resamples},
               {"seed", options.seed},
               {"base_model", base.model},
               {"tuned_model", tuned.model},
               {"tasks", std::move(tasks)}};
  if (!headline.empty()) {
    json["average"] = average(headline, options.resamples, options.confidence);
  }
  return json;
}

std::string comparison_table(const Json& comparison) {
  const std::string confidence =
      fmt::format("{:g}% interval", 100.0 * comparison["confidence"].get<double>());
  std::string table = fmt::format("{:<20} {:<13} {:>9} {:>9} {:>10} {:>18} {:>10}\n", "task",
                                  "metric", "base", "tuned", "difference", confidence, "relative");
  for (const Json& entry : comparison["tasks"]) {
    const auto name = entry["metric"].get<std::string>();
    table +=
        row(printable(entry["name"].get<std::string>()), name, entry, metric(name).points != 1.0);
  }
  if (const auto mean = comparison.find("average"); mean != comparison.end()) {
    table += row("average", "acc, f1", *mean, true);
  }
  return table;
}

}  // namespace nativo::eval
