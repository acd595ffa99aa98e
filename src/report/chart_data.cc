// The numbers that page/charts.js draws.
#include <algorithm>
#include <set>
#include <utility>

#include "base/strings.h"
#include "report/sections.h"

namespace nativo::report {
namespace {

constexpr std::size_t kMaxPoints = 1500;

// The points for which value_of(point) says something.
template <class ValueOf>
Json curve_of(const std::vector<MetricPoint>& points, const ValueOf& value_of) {
  std::vector<std::pair<std::int64_t, double>> known;
  for (const MetricPoint& point : points) {
    if (const std::optional<double> value = value_of(point)) known.emplace_back(point.step, *value);
  }
  const std::size_t step = std::max<std::size_t>(1, (known.size() + kMaxPoints - 1) / kMaxPoints);
  Json data = Json::array();
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (i % step != 0 && i + 1 != known.size()) continue;
    data.push_back({known[i].first, known[i].second});
  }
  return data;
}

Json curve(const std::vector<MetricPoint>& points, std::optional<double> MetricPoint::*value) {
  return curve_of(points, [value](const MetricPoint& point) { return point.*value; });
}

Json source_curves(const std::vector<MetricPoint>& points) {
  std::set<std::string> names;
  for (const MetricPoint& point : points) {
    for (const auto& [name, unused] : point.sources) names.insert(name);
  }
  Json curves = Json::array();
  for (const std::string& name : names) {
    curves.push_back({{"name", printable(name)},
                      {"loss", curve_of(points, [&](const MetricPoint& point) {
                         const auto found = point.sources.find(name);
                         return found == point.sources.end() ? std::optional<double>()
                                                             : std::optional(found->second);
                       })}});
  }
  return curves;
}

Json marks_of(const std::vector<TrainingEvent>& events) {
  Json marks = Json::array();
  for (const TrainingEvent& event : events) {
    if (event.is_marked()) marks.push_back({{"kind", event.kind}, {"step", event.step}});
  }
  return marks;
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
    trainings.push_back(
        {{"name", training.name},
         {"loss", curve(training.points, &MetricPoint::loss)},
         {"eval_loss", curve(training.points, &MetricPoint::eval_loss)},
         {"base_eval_loss", curve(training.points, &MetricPoint::base_eval_loss)},
         {"sources", source_curves(training.points)},
         {"tokens_per_second", curve(training.points, &MetricPoint::tokens_per_second)},
         {"marks", marks_of(training.events)},
         {"lr", curve(training.points, &MetricPoint::lr)},
         {"grad_norm", curve(training.points, &MetricPoint::grad_norm)}});
  }
  return {{"lengths", lengths_data(run)},
          {"trainings", std::move(trainings)},
          {"evaluation", evaluation_data(run)}};
}

}  // namespace nativo::report
