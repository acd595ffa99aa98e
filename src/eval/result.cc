#include "eval/result.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::eval {
namespace {

constexpr int kFormat = 1;

constexpr std::array<Metric, 6> kMetrics = {{
    {.name = "acc", .item_key = "acc"},
    {.name = "acc_norm", .item_key = "acc_norm"},
    {.name = "em", .item_key = "em"},
    {.name = "f1", .item_key = "f1"},
    {.name = "gold_logprob", .item_key = "gold_logprob", .points = 1.0},
    {.name = "perplexity",
     .item_key = "log_prob",
     .aggregate = Aggregate::kExpNegativeMean,
     .higher_is_better = false,
     .points = 1.0},
}};

[[noreturn]] void bad(std::string_view where, std::string_view what) {
  throw Error(ExitCode::kData, fmt::format("{}: {}", where, what),
              "delete the file; evaluating again writes it anew");
}

const Json& field(const Json& object, const char* key, std::string_view where) {
  if (object.is_object()) {
    if (const auto found = object.find(key); found != object.end()) return *found;
  }
  bad(where, fmt::format("\"{}\" is missing", key));
}

std::string text(const Json& object, const char* key, std::string_view where) {
  const Json& value = field(object, key, where);
  if (!value.is_string()) bad(where, fmt::format("\"{}\" must be a text", key));
  return value.get<std::string>();
}

TaskResult task_from_json(const Json& json, std::string_view where) {
  TaskResult task{.name = text(json, "name", where),
                  .kind = text(json, "kind", where),
                  .fingerprint = text(json, "fingerprint", where),
                  .columns = {},
                  .answers = {}};
  const Json& truncated = field(json, "truncated", where);
  if (!truncated.is_number_integer()) bad(where, "\"truncated\" must be a number");
  task.truncated = truncated.get<std::int64_t>();
  const Json& items = field(json, "per_item", where);
  const Json& metrics = field(json, "metrics", where);
  if (!items.is_array() || items.empty()) bad(where, "\"per_item\" must be a list");
  if (!metrics.is_object() || metrics.empty()) bad(where, "\"metrics\" must be an object");
  for (const auto& [name, value] : metrics.items()) {
    Column column{.metric = name, .items = {}};
    const std::string key(metric(name).item_key);
    for (const Json& item : items) {
      const Json& number = field(item, key.c_str(), where);
      if (!number.is_number()) bad(where, fmt::format("\"{}\" must be a number", key));
      column.items.push_back(number.get<double>());
    }
    task.columns.push_back(std::move(column));
  }
  for (const Json& item : items) {
    if (item.contains("answer")) task.answers.push_back(text(item, "answer", where));
  }
  if (!task.answers.empty() && task.answers.size() != items.size()) {
    bad(where, "only some items have an \"answer\"");
  }
  return task;
}

}  // namespace

const Metric& metric(std::string_view name) {
  const auto found = std::ranges::find(kMetrics, name, &Metric::name);
  if (found == kMetrics.end()) {
    throw Error(ExitCode::kData, fmt::format("unknown metric \"{}\"", printable(name)));
  }
  return *found;
}

double aggregate(const Metric& metric, double mean) {
  if (metric.aggregate == Aggregate::kMean) return mean;
  // exp overflows where a hopeless model meets a long target; JSON has no infinity.
  return std::min(std::exp(-mean), 1e300);
}

double Column::value() const {
  const double sum = std::accumulate(items.begin(), items.end(), 0.0);
  const auto count = static_cast<double>(std::max<std::size_t>(items.size(), 1));
  return aggregate(eval::metric(metric), sum / count);
}

Json to_json(const EvalResult& result) {
  Json tasks = Json::array();
  for (const TaskResult& task : result.tasks) {
    Json metrics = Json::object();
    for (const Column& column : task.columns) metrics[column.metric] = column.value();
    Json items = Json::array();
    for (std::size_t i = 0; i < task.items(); ++i) {
      Json item = Json::object();
      for (const Column& column : task.columns) {
        item[std::string(metric(column.metric).item_key)] = column.items[i];
      }
      if (!task.answers.empty()) item["answer"] = task.answers[i];
      items.push_back(std::move(item));
    }
    tasks.push_back({{"name", task.name},
                     {"kind", task.kind},
                     {"fingerprint", task.fingerprint},
                     {"items", task.items()},
                     {"truncated", task.truncated},
                     {"metrics", std::move(metrics)},
                     {"per_item", std::move(items)}});
  }
  return {{"format", kFormat}, {"model", result.model}, {"tasks", std::move(tasks)}};
}

EvalResult result_from_json(const Json& json, std::string_view where) {
  if (field(json, "format", where) != kFormat) bad(where, "written by another version of nativo");
  EvalResult result{.model = text(json, "model", where), .tasks = {}};
  const Json& tasks = field(json, "tasks", where);
  if (!tasks.is_array()) bad(where, "\"tasks\" must be a list");
  for (const Json& task : tasks) result.tasks.push_back(task_from_json(task, where));
  return result;
}

}  // namespace nativo::eval
