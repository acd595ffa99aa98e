// nativo chat: talk to a model in the terminal, or line by line through a pipe.
#include "serve/chat.h"

#include <memory>

#include "base/parallel.h"
#include "cli/verb.h"
#include "config/config_file.h"
#include "generate/device_options.h"
#include "generate/local_model.h"

namespace nativo::cli {

void add_chat(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("chat", "talk to a model in the terminal");
  const auto folder = std::make_shared<std::string>();
  const auto sets = std::make_shared<std::vector<std::string>>();
  const auto device = std::make_shared<generate::DeviceOptions>();
  verb->add_option("model", *folder, "run folder or model directory")->required()->type_name("DIR");
  verb->add_option(
          "--set", *sets,
          "system=TEXT, sampler.temperature=0.7, sampler.top_p, sampler.top_k, sampler.min_p, "
          "sampler.repetition_penalty, sampler.max_tokens, sampler.seed")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->take_all();
  add_visited(*verb, *device);
  verb->callback([folder, sets, device] {
    serve::ChatOptions options;
    config::ConfigFile(*sets).read(options);
    set_thread_count(0);
    const auto model = generate::load_local_model(find_model(*folder), device->numbers("--"));
    serve::run_chat(*model, options, serve::terminal_console());
  });
}

}  // namespace nativo::cli
