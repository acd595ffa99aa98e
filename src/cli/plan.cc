// nativo plan: what `nativo run` would do, and why; or what a training would take on a cluster.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "base/error.h"
#include "base/strings.h"
#include "cli/simulate.h"
#include "cli/verb.h"
#include "pipeline/pipeline.h"

namespace nativo::cli {
namespace {

void print_forecast(const pipeline::Forecast& forecast) {
  if (forecast.steps.empty()) {
    if (forecast.pending.empty()) return;
    fmt::print("\nwhat each engine will get is known when {0} has run: nativo {0} -c FILE\n",
               forecast.pending);
    return;
  }
  const bool counted = !forecast.tokenizer.empty();
  fmt::print("\n{:<19} {:>10} {:>14} {:>14}  {}\n", "translated first by", "rows", "words",
             counted ? "tokens" : "about tokens", "because of");
  for (const pipeline::RouteForecast& line : forecast.steps) {
    std::string reasons;
    for (const auto& [reason, rows] : line.reasons) {
      reasons += fmt::format("{}{} {}", reasons.empty() ? "" : ", ", reason, rows);
    }
    fmt::print("{:<19} {:>10} {:>14} {:>14}  {}\n", printable(line.step), line.rows, line.words,
               line.tokens, reasons);
  }
  if (counted) {
    fmt::print("tokens of the source texts, counted by {}\n", printable(forecast.tokenizer));
  } else {
    fmt::print("tokens of the source texts, {} characters each: no tokenizer is configured yet\n",
               pipeline::kCharactersPerToken);
  }
  if (!forecast.pending.empty()) {
    fmt::print("counted before {0}, which may leave less to translate: nativo {0} -c FILE\n",
               forecast.pending);
  }
}

}  // namespace

void add_plan(CLI::App& app) {
  CLI::App* verb =
      app.add_subcommand("plan", "show what `nativo run` would do, and why; changes nothing");
  const auto arguments = std::make_shared<ConfigArguments>();
  arguments->add_to(*verb, /*required=*/false);
  const auto simulation = std::make_shared<Simulation>();
  simulation->add_to(*verb);
  verb->callback([arguments, simulation] {
    if (simulation->wanted()) return simulation->show(*arguments);
    if (arguments->file.empty()) {
      throw Error(ExitCode::kUsage, "plan: give -c FILE",
                  "or a model and --simulate, to estimate a training on a cluster");
    }
    pipeline::Pipeline pipeline(arguments->read());
    fmt::print("{:<13} {:<9} {}\n", "step", "action", "why");
    for (const pipeline::PlanLine& line : pipeline.plan()) {
      fmt::print("{:<13} {:<9} {}\n", line.step, line.action, printable(line.reason));
    }
    print_forecast(pipeline.forecast());
    if (const std::string grid = pipeline.grid(); !grid.empty()) fmt::print("\n{}\n", grid);
  });
}

}  // namespace nativo::cli
