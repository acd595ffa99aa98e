#include "cli/verb.h"
#include "config/config_file.h"

namespace nativo::cli {

void ConfigArguments::add_to(CLI::App& verb, bool required) {
  CLI::Option* option =
      verb.add_option("-c,--config", file, "pipeline file (TOML)")->type_name("FILE");
  if (required) option->required();
  verb.add_option("--set", sets, "override one option, e.g. --set train.lr=1e-4; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->take_all();
}

std::vector<std::string> ConfigArguments::words() const {
  std::vector<std::string> words;
  if (!file.empty()) words = {"--config", file};
  for (const std::string& set : sets) words.insert(words.end(), {"--set", set});
  return words;
}

pipeline::PipelineOptions ConfigArguments::read() const {
  pipeline::PipelineOptions options;
  config::ConfigFile config =
      file.empty() ? config::ConfigFile(sets) : config::ConfigFile(file, sets);
  config.read(options);
  return options;
}

}  // namespace nativo::cli
