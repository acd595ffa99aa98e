// A verb of the command line: `nativo VERB`. One file each; main.cc lists them.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/options.h"

namespace nativo::cli {

/// Each adds its verb to `app`; the callback does the work and throws Error when it cannot.
void add_run(CLI::App& app);
void add_plan(CLI::App& app);
void add_stages(CLI::App& app);
void add_eval(CLI::App& app);
void add_score(CLI::App& app);
void add_chat(CLI::App& app);
void add_report(CLI::App& app);
void add_export(CLI::App& app);
void add_doctor(CLI::App& app);
void add_options(CLI::App& app);

/// -c FILE and --set, as most verbs take them.
struct ConfigArguments {
  std::string file;
  std::vector<std::string> sets;

  /// Declares them; `required` = the verb makes no sense without a file.
  void add_to(CLI::App& verb, bool required);
  /// Reads the options; throws Error(kConfig | kMissingInput).
  [[nodiscard]] pipeline::PipelineOptions read() const;
};

/// The model directory that `path` means: itself, or a run folder's tuned model. Throws
/// Error(kMissingInput) when it is neither.
[[nodiscard]] std::filesystem::path find_model(const std::filesystem::path& path);

}  // namespace nativo::cli
