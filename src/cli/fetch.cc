// nativo fetch: translation packages from the network, with a lock file beside each.
#include <fmt/format.h>

#include <memory>

#include "cli/verb.h"
#include "translate/argos_fetch.h"

namespace nativo::cli {

void add_fetch(CLI::App& app) {
  struct Arguments {
    std::vector<std::string> names;
    translate::ArgosFetchOptions options;
  };
  CLI::App* verb = app.add_subcommand(
      "fetch", "get translation packages: argos:en-it (see translate.argos.package)");
  const auto arguments = std::make_shared<Arguments>();
  verb->add_option("name", arguments->names, "argos:FROM-TO; several may be given")
      ->required()
      ->type_name("NAME");
  verb->add_option("-o,--output", arguments->options.folder, "folder to put them into")
      ->type_name("DIR")
      ->capture_default_str();
  verb->add_option("--index", arguments->options.index, "list of packages")
      ->type_name("URL")
      ->capture_default_str();
  verb->callback([arguments] {
    for (const std::string& name : arguments->names) {
      const translate::LanguagePair pair = translate::parse_argos_name(name);
      fmt::print("{}\n", translate::fetch_argos(pair, arguments->options).native());
      std::fflush(stdout);
    }
  });
}

}  // namespace nativo::cli
