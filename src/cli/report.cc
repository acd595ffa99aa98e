// nativo report: writes the page of a run from what lies in its folder.
#include "report/report.h"

#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "cli/verb.h"

namespace nativo::cli {

void add_report(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("report", "write report.html of a run from its files");
  const auto folder = std::make_shared<std::string>();
  const auto output = std::make_shared<std::string>();
  verb->add_option("run", *folder, "run folder")->required()->type_name("DIR");
  verb->add_option("-o,--output", *output, "page to write; default RUN/report.html")
      ->type_name("FILE");
  verb->callback([folder, output] {
    namespace fs = std::filesystem;
    if (!fs::is_directory(fs::path(*folder) / "stages") &&
        !fs::exists(fs::path(*folder) / "metrics.jsonl")) {
      throw Error(ExitCode::kMissingInput,
                  *folder + ": not a run folder (neither stages/ nor metrics.jsonl in it)");
    }
    const fs::path page = output->empty() ? fs::path(*folder) / "report.html" : fs::path(*output);
    report::write_report(*folder, page);
    fmt::print("{}\n", page.native());
  });
}

}  // namespace nativo::cli
