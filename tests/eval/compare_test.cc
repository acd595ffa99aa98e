#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "eval/bootstrap.h"
#include "eval/eval.h"

namespace nativo::eval {
namespace {

using testing::HasSubstr;

TaskResult task(const std::string& name, std::vector<Column> columns) {
  return {.name = name,
          .kind = "next_word",
          .fingerprint = "f",
          .columns = std::move(columns),
          .answers = {}};
}

/// n items, right with probability `share`, drawn from `seed`.
std::vector<double> coins(std::size_t n, double share, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<double> items(n);
  for (double& item : items) item = rng.uniform() < share ? 1.0 : 0.0;
  return items;
}

TEST(Bootstrap, IntervalIsThatOfTheNormalApproximation) {
  const std::vector<double> items = coins(400, 0.3, 5);
  double mean = 0.0;
  for (const double item : items) mean += item / 400;
  const std::span<const double> columns[] = {items};
  const auto draws = bootstrap_means(columns, 4000, 1, "t");
  const Interval interval = percentile_interval(draws[0], 0.95);
  const double half = 1.96 * std::sqrt(mean * (1 - mean) / 400);
  // The quantile of 4000 draws and the steps of 1/400 leave about a tenth of the half width.
  EXPECT_NEAR(interval.low, mean - half, 0.1 * half);
  EXPECT_NEAR(interval.high, mean + half, 0.1 * half);
}

TEST(Bootstrap, QuantilesAreNumpys) {
  // numpy.percentile([1..5], [10, 90]) = 1.4, 4.6
  const Interval interval = percentile_interval({5, 3, 1, 4, 2}, 0.8);
  EXPECT_NEAR(interval.low, 1.4, 1e-12);
  EXPECT_NEAR(interval.high, 4.6, 1e-12);
  EXPECT_EQ(percentile_interval({7}, 0.95).low, 7);
}

TEST(Bootstrap, ThreadsDoNotMatterButSeedAndNameDo) {
  const std::vector<double> items = coins(50, 0.5, 5);
  const std::span<const double> columns[] = {items};
  const int threads = thread_count();
  set_thread_count(1);
  const auto one = bootstrap_means(columns, 200, 1, "t");
  set_thread_count(4);
  EXPECT_EQ(bootstrap_means(columns, 200, 1, "t"), one);
  set_thread_count(threads);
  EXPECT_NE(bootstrap_means(columns, 200, 2, "t"), one);
  EXPECT_NE(bootstrap_means(columns, 200, 1, "u"), one);
}

TEST(Compare, ReportsPointsRelativeAndIntervals) {
  std::vector<double> base(100, 0.0);
  std::vector<double> tuned(100, 0.0);
  for (std::size_t i = 0; i < 40; ++i) base[i] = 1.0;
  for (std::size_t i = 0; i < 50; ++i) tuned[i] = 1.0;
  const Json json =
      compare({"b", {task("t", {{"acc", base}})}}, {"t", {task("t", {{"acc", tuned}})}}, {});
  const Json& entry = json["tasks"][0];
  EXPECT_EQ(entry["metric"], "acc");
  EXPECT_EQ(entry["higher_is_better"], true);
  EXPECT_EQ(entry["items"], 100);
  EXPECT_NEAR(entry["base"]["value"].get<double>(), 0.4, 1e-12);
  EXPECT_NEAR(entry["difference"]["points"].get<double>(), 10.0, 1e-9);
  EXPECT_NEAR(entry["difference"]["relative"].get<double>(), 25.0, 1e-9);
  // Ten items changed, all for the better: paired, the difference is never negative, while the two
  // intervals by themselves overlap.
  EXPECT_GT(entry["difference"]["low"].get<double>(), 3.0);
  EXPECT_LT(entry["difference"]["high"].get<double>(), 18.0);
  EXPECT_GT(entry["base"]["high"].get<double>(), entry["tuned"]["low"].get<double>());
}

TEST(Compare, EqualModelsDifferByNothing) {
  const EvalResult same{
      "m", {task("t", {{"acc", coins(80, 0.5, 1)}, {"perplexity", coins(80, 0.5, 2)}})}};
  const Json json = compare(same, same, {});
  ASSERT_EQ(json["tasks"].size(), 2U);
  for (const Json& entry : json["tasks"]) {
    EXPECT_EQ(entry["difference"]["points"], 0.0);
    EXPECT_EQ(entry["difference"]["low"], 0.0);
    EXPECT_EQ(entry["difference"]["high"], 0.0);
  }
}

TEST(Compare, PerplexityIsInPlainUnitsAndFinite) {
  const EvalResult base{"b", {task("t", {{"perplexity", {-2.0, -4.0}}})}};
  const EvalResult tuned{"t", {task("t", {{"perplexity", {-1.0, -1.0}}})}};
  const Json entry = compare(base, tuned, {})["tasks"][0];
  EXPECT_EQ(entry["higher_is_better"], false);
  EXPECT_NEAR(entry["difference"]["points"].get<double>(), std::exp(1.0) - std::exp(3.0), 1e-9);
  EXPECT_NEAR(entry["base"]["low"].get<double>(), std::exp(2.0), 1e-9);
  EXPECT_NEAR(entry["base"]["high"].get<double>(), std::exp(4.0), 1e-9);
  const EvalResult hopeless{"h", {task("t", {{"perplexity", {-1e6, -1e6}}})}};
  const Json worst = compare(hopeless, tuned, {})["tasks"][0];
  EXPECT_TRUE(std::isfinite(worst["base"]["value"].get<double>()));
  EXPECT_EQ(dump_json(worst).find("null"), std::string::npos);
}

TEST(Compare, NothingRelativeToZero) {
  const EvalResult base{"b", {task("t", {{"em", {0, 0}}})}};
  const EvalResult tuned{"t", {task("t", {{"em", {1, 0}}})}};
  const Json json = compare(base, tuned, {});
  EXPECT_TRUE(json["tasks"][0]["difference"]["relative"].is_null());
  EXPECT_FALSE(comparison_table(json).empty());
}

TEST(Compare, AveragesTheHeadlineMetrics) {
  const auto result = [](double acc, double f1) {
    return EvalResult{"m",
                      {task("a", {{"acc", {acc, acc}}, {"perplexity", {-1, -1}}}),
                       task("b", {{"em", {0, 0}}, {"f1", {f1, f1}}})}};
  };
  const Json mean = compare(result(0.2, 0.4), result(0.4, 0.5), {})["average"];
  EXPECT_NEAR(mean["base"]["value"].get<double>(), 0.3, 1e-12);
  EXPECT_NEAR(mean["tuned"]["value"].get<double>(), 0.45, 1e-12);
  EXPECT_NEAR(mean["difference"]["relative"].get<double>(), 50.0, 1e-9);
  EXPECT_EQ(mean["tasks"], 2);
}

TEST(Compare, RefusesResultsOfDifferentTasks) {
  const EvalResult base{"b", {task("t", {{"acc", {0, 1}}})}};
  EvalResult other = base;
  other.tasks[0].fingerprint = "g";
  EXPECT_THROW(static_cast<void>(compare(base, other, {})), Error);
  other = base;
  other.tasks[0].columns[0].items.pop_back();
  EXPECT_THROW(static_cast<void>(compare(base, other, {})), Error);
  other = base;
  other.tasks.clear();
  EXPECT_THROW(static_cast<void>(compare(base, other, {})), Error);
}

TEST(Compare, TheTableNamesEverything) {
  const EvalResult base{"b", {task("evil\x1b[31m", {{"acc", {0, 1, 0, 1}}})}};
  const EvalResult tuned{"t", {task("evil\x1b[31m", {{"acc", {1, 1, 1, 1}}})}};
  const std::string table = comparison_table(compare(base, tuned, {}));
  EXPECT_THAT(table, HasSubstr("95% interval"));
  EXPECT_THAT(table, HasSubstr("50.0%"));
  EXPECT_THAT(table, HasSubstr("+50.0 pt"));
  EXPECT_THAT(table, HasSubstr("+100.0%"));
  EXPECT_EQ(table.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace nativo::eval
