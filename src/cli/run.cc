// nativo run: the whole pipeline, as far as it is not up to date already.
#include <fmt/format.h>

#include <cerrno>  // program_invocation_name
#include <memory>

#include "cli/verb.h"
#include "dist/world.h"
#include "pipeline/pipeline.h"

namespace nativo::cli {

void add_run(CLI::App& app) {
  CLI::App* verb =
      app.add_subcommand("run", "run the pipeline: sources to report; continues what is there");
  const auto arguments = std::make_shared<ConfigArguments>();
  const auto local = std::make_shared<LocalRanks>();
  arguments->add_to(*verb, /*required=*/true);
  local->add_to(*verb);
  verb->callback([arguments, local] {
    if (local->wanted()) return local->run_pipeline(*arguments, "run");
    pipeline::Pipeline pipeline(arguments->read());
    const auto ranks = dist::connect();
    pipeline.run("", ranks.get());
    if (!ranks->is_root()) return;
    fmt::print("\nReport:      {}\nTalk to it:  {} chat {}\n",
               (pipeline.folder() / "report.html").native(), program_invocation_name,
               pipeline.folder().native());
  });
}

}  // namespace nativo::cli
