// nativo ingest|tokenizer|translate|filter|dedup|mix|base: the pipeline up to one step; or,
// for the data stages, one stage alone on a file of yours.
#include <fmt/format.h>

#include <charconv>
#include <memory>

#include "base/error.h"
#include "base/strings.h"
#include "cli/verb.h"
#include "pipeline/pipeline.h"

namespace nativo::cli {
namespace {

/// --input and friends: one source given on the command line instead of in a pipeline file.
struct InputArguments {
  std::string input;
  std::string output;
  std::string lang;
  std::string licence;

  void add_to(CLI::App& verb) {
    verb.add_option("-i,--input", input, "run this stage alone on this file or folder")
        ->type_name("PATH");
    verb.add_option("-o,--output", output, "folder for its output (with --input)")
        ->type_name("DIR");
    verb.add_option("--lang", lang, "language of the input, ISO 639-1 (with --input)")
        ->type_name("LANG");
    verb.add_option("--licence", licence, "licence of the input (with --input)")->type_name("TEXT");
  }
};

/// "3/16".
data::StagePart parse_part(const std::string& text) {
  data::StagePart part;
  const char* end = text.data() + text.size();
  const auto index = std::from_chars(text.data(), end, part.index);
  if (index.ec == std::errc() && index.ptr != end && *index.ptr == '/') {
    const auto count = std::from_chars(index.ptr + 1, end, part.count);
    if (count.ec == std::errc() && count.ptr == end && part.index < part.count) return part;
  }
  throw Error(ExitCode::kUsage, fmt::format("--part {}: not a part such as 0/16", printable(text)),
              "the first of 16 parts is 0/16, the last 15/16");
}

void run_alone(const std::string& stage, const ConfigArguments& config,
               const InputArguments& input) {
  if (input.output.empty() || input.lang.empty() || input.licence.empty()) {
    throw Error(ExitCode::kUsage, "--input needs --output, --lang and --licence too");
  }
  pipeline::PipelineOptions options = config.read();
  options.run.dir = input.output;
  options.source.clear();
  data::SourceOptions& source = options.source["input"];
  source.path = input.input;
  source.lang = input.lang;
  source.licence = input.licence;
  pipeline::Pipeline pipeline(std::move(options), stage);
  pipeline.run(stage);
  fmt::print("{}\n", (pipeline.folder() / "stages" / stage).native());
}

}  // namespace

CLI::App& add_stage(CLI::App& app, const std::string& name, const std::string& help, bool alone,
                    const std::function<bool()>& other) {
  CLI::App* verb = app.add_subcommand(name, help);
  const auto config = std::make_shared<ConfigArguments>();
  const auto input = std::make_shared<InputArguments>();
  config->add_to(*verb, /*required=*/!alone);
  if (alone) input->add_to(*verb);
  const auto part = std::make_shared<std::string>();
  if (name == "translate" || name == "filter") {
    verb->add_option("--part", *part,
                     "make only every Nth block, from the Ith, as one of N processes at once; the "
                     "same command without it joins them (with -c)")
        ->type_name("I/N");
  }
  verb->callback([name, config, input, part, other] {
    if (other && other()) return;
    if (!input->input.empty()) return run_alone(name, *config, *input);
    if (config->file.empty()) {
      throw Error(ExitCode::kUsage, name + ": give -c FILE, or --input PATH");
    }
    pipeline::Pipeline pipeline(config->read());
    part->empty() ? pipeline.run(name) : pipeline.run_part(name, parse_part(*part));
  });
  return *verb;
}

void add_stages(CLI::App& app) {
  add_stage(app, "ingest", "read the sources into records", false);
  add_stage(app, "tokenizer", "take over or train the tokenizer", false);
  add_stage(app, "dedup_sources", "keep one of each pair of equals before they are translated",
            false);
  add_translate(app);
  add_stage(app, "filter", "drop records that break a rule", true);
  add_stage(app, "dedup", "keep one of each pair of equals or near-equals", true);
  add_stage(app, "mix", "weigh, split and order what goes into training", true);
  add_stage(app, "base", "train the small model that an init: base starts from", false);
}

}  // namespace nativo::cli
