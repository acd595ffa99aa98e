// nativo plan: what `nativo run` would do, and why.
#include <fmt/format.h>

#include <memory>

#include "base/strings.h"
#include "cli/verb.h"
#include "pipeline/pipeline.h"

namespace nativo::cli {
namespace {

void print_forecast(const std::vector<pipeline::RouteForecast>& forecast) {
  if (forecast.empty()) return;
  fmt::print("\n{:<18} {:>10} {:>14}  {}\n", "translated first by", "rows", "words", "because of");
  for (const pipeline::RouteForecast& line : forecast) {
    std::string reasons;
    for (const auto& [reason, rows] : line.reasons) {
      reasons += fmt::format("{}{} {}", reasons.empty() ? "" : ", ", reason, rows);
    }
    fmt::print("{:<18} {:>10} {:>14}  {}\n", printable(line.step), line.rows, line.tokens, reasons);
  }
}

}  // namespace

void add_plan(CLI::App& app) {
  CLI::App* verb =
      app.add_subcommand("plan", "show what `nativo run` would do, and why; changes nothing");
  const auto arguments = std::make_shared<ConfigArguments>();
  arguments->add_to(*verb, /*required=*/true);
  verb->callback([arguments] {
    pipeline::Pipeline pipeline(arguments->read());
    fmt::print("{:<13} {:<9} {}\n", "step", "action", "why");
    for (const pipeline::PlanLine& line : pipeline.plan()) {
      fmt::print("{:<13} {:<9} {}\n", line.step, line.action, printable(line.reason));
    }
    print_forecast(pipeline.forecast());
  });
}

}  // namespace nativo::cli
