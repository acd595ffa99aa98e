// nativo plan: what `nativo run` would do, and why.
#include <fmt/format.h>

#include <memory>

#include "base/strings.h"
#include "cli/verb.h"
#include "pipeline/pipeline.h"

namespace nativo::cli {

void add_plan(CLI::App& app) {
  CLI::App* verb =
      app.add_subcommand("plan", "show what `nativo run` would do, and why; changes nothing");
  const auto arguments = std::make_shared<ConfigArguments>();
  arguments->add_to(*verb, /*required=*/true);
  verb->callback([arguments] {
    pipeline::Pipeline pipeline(arguments->read());
    fmt::print("{:<10} {:<9} {}\n", "step", "action", "why");
    for (const pipeline::PlanLine& line : pipeline.plan()) {
      fmt::print("{:<10} {:<9} {}\n", line.step, line.action, printable(line.reason));
    }
  });
}

}  // namespace nativo::cli
