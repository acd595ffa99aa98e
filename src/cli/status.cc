// nativo status|logs|stop: a run that was launched, seen from outside.
#include "launch/status.h"

#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "cli/verb.h"

namespace nativo::cli {
namespace {

struct Arguments {
  ConfigArguments config;
  std::string folder;
  bool json = false;
  bool all = false;
  bool follow = false;
  bool supervisor = false;

  [[nodiscard]] std::filesystem::path run() const {
    if (!folder.empty()) return folder;
    if (config.file.empty()) throw Error(ExitCode::kUsage, "give a run folder, or -c FILE");
    return config.read().run.dir;
  }
};

std::shared_ptr<Arguments> add(CLI::App& app, const char* name, const char* help, CLI::App*& verb) {
  verb = app.add_subcommand(name, help);
  auto arguments = std::make_shared<Arguments>();
  verb->add_option("run", arguments->folder, "run folder")->type_name("DIR");
  arguments->config.add_to(*verb, /*required=*/false);
  return arguments;
}

}  // namespace

void add_status(CLI::App& app) {
  CLI::App* verb = nullptr;
  const auto status = add(app, "status", "show how a launched run is doing", verb);
  verb->add_flag("--json", status->json, "as JSON");
  verb->add_flag("--all", status->all, "a line for every rank, not only for silent ones");
  verb->callback([status] {
    const launch::RunStatus found = launch::read_status(status->run());
    fmt::print("{}", status->json ? dump_json_pretty(launch::to_json(found))
                                  : launch::describe(found, status->all));
  });
  const auto logs = add(app, "logs", "show what a launched run prints", verb);
  verb->add_flag("-f,--follow", logs->follow, "go on until the run ends");
  verb->add_flag("--supervisor", logs->supervisor, "what the supervisor says, not the ranks");
  verb->callback([logs] { launch::print_logs(logs->run(), logs->supervisor, logs->follow); });
  const auto stop = add(app, "stop", "ask a launched run to save a checkpoint and to end", verb);
  verb->callback([stop] { fmt::print("{}\n", launch::stop_run(stop->run())); });
}

}  // namespace nativo::cli
