// The numbers that page/charts.js draws.
#include <algorithm>

#include "base/strings.h"
#include "report/sections.h"

namespace nativo::report {
namespace {

constexpr std::size_t kMaxPoints = 1500;

using Value = std::optional<double> MetricPoint::*;

Json curve(const std::vector<MetricPoint>& points, Value value) {
  std::vector<const MetricPoint*> known;
  for (const MetricPoint& point : points) {
    if (point.*value) known.push_back(&point);
  }
  const std::size_t step = std::max<std::size_t>(1, (known.size() + kMaxPoints - 1) / kMaxPoints);
  Json data = Json::array();
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (i % step != 0 && i + 1 != known.size()) continue;
    data.push_back({known[i]->step, *(known[i]->*value)});
  }
  return data;
}

Json percents(const Estimate& estimate) {
  const auto percent = [](const std::optional<double>& share) {
    return share ? Json(100 * *share) : Json();
  };
  return {100 * estimate.value, percent(estimate.low), percent(estimate.high)};
}

Json evaluation_data(const RunFiles& run) {
  Json data = {{"labels", Json::array()}, {"base", Json::array()}, {"tuned", Json::array()}};
  for (const TaskFacts& task : run.tasks) {
    if (!task.is_share()) continue;
    data["labels"].push_back(printable(task_title(task)));
    data["base"].push_back(percents(task.base));
    data["tuned"].push_back(percents(task.tuned));
  }
  return data;
}

}  // namespace

Json chart_data(const RunFiles& run) {
  Json trainings = Json::array();
  for (const TrainingFacts& training : run.trainings) {
    trainings.push_back({{"name", training.name},
                         {"loss", curve(training.points, &MetricPoint::loss)},
                         {"eval_loss", curve(training.points, &MetricPoint::eval_loss)},
                         {"lr", curve(training.points, &MetricPoint::lr)},
                         {"grad_norm", curve(training.points, &MetricPoint::grad_norm)}});
  }
  return {{"lengths", lengths_data(run)},
          {"trainings", std::move(trainings)},
          {"evaluation", evaluation_data(run)}};
}

}  // namespace nativo::report
