// nativo export: a finished run's model as a Hugging Face directory elsewhere, in the dtype asked
// for; an adapter merged into it on the way.
#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "cli/verb.h"
#include "io/file.h"
#include "model/hf_directory.h"
#include "model/peft_adapter.h"
#include "pipeline/pipeline.h"
#include "text/tokenizer_files.h"

namespace nativo::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string from;
  std::string to;
  std::string adapter;
  std::string dtype = "bf16";
  std::int64_t shard_mib = 5120;
};

void export_model(const Arguments& arguments) {
  const fs::path from = find_model(arguments.from);
  model::Decoder decoder = model::load_decoder(from);
  if (!arguments.adapter.empty()) model::load_adapter(decoder, arguments.adapter);
  model::SaveOptions options;
  options.type = model::storage_type_from_option(arguments.dtype).value();
  options.max_shard_bytes = static_cast<std::uint64_t>(arguments.shard_mib) << 20;
  for (const char* name : text::kTokenizerFileNames) {
    if (fs::exists(from / name)) options.extra_files[name] = io::read_file(from / name);
  }
  model::save_decoder(arguments.to, decoder, options);
  fmt::print("{}\n", arguments.to);
}

}  // namespace

fs::path find_model(const fs::path& path) {
  if (fs::exists(path / "config.json")) return path;
  const fs::path tuned = pipeline::tuned_model_folder(path);
  if (fs::exists(tuned / "config.json")) return tuned;
  throw Error(ExitCode::kMissingInput,
              path.native() + ": neither a model directory nor a finished run",
              "give a folder with config.json, or a run folder whose train step is done");
}

void add_export(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "export", "write the tuned model as a Hugging Face directory that other systems load");
  const auto arguments = std::make_shared<Arguments>();
  verb->add_option("model", arguments->from, "run folder or model directory")
      ->required()
      ->type_name("DIR");
  verb->add_option("-o,--output", arguments->to, "directory to write")
      ->required()
      ->type_name("DIR");
  verb->add_option("--adapter", arguments->adapter,
                   "LoRA adapter of this model, as PEFT saves it: merged into the weights")
      ->type_name("DIR");
  verb->add_option("--dtype", arguments->dtype, "f32, bf16 or f16")
      ->check(CLI::IsMember({"f32", "bf16", "f16"}))
      ->capture_default_str();
  verb->add_option("--shard-mib", arguments->shard_mib, "largest file, MiB")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb->callback([arguments] { export_model(*arguments); });
}

}  // namespace nativo::cli
