// A verb of the command line: `nativo VERB`. One file each; main.cc lists them.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "config/visitor.h"
#include "pipeline/options.h"

namespace nativo::cli {

/// Each adds its verb to `app`; the callback does the work and throws Error when it cannot.
void add_run(CLI::App& app);
void add_plan(CLI::App& app);
void add_stages(CLI::App& app);
void add_translate(CLI::App& app);
void add_fetch(CLI::App& app);
void add_train(CLI::App& app);
void add_explain_batch(CLI::App& app);
void add_eval(CLI::App& app);
void add_score(CLI::App& app);
void add_tokenize(CLI::App& app);
void add_chat(CLI::App& app);
void add_report(CLI::App& app);
void add_export(CLI::App& app);
void add_memory(CLI::App& app);
void add_bench(CLI::App& app);
void add_doctor(CLI::App& app);
void add_options(CLI::App& app);
void add_slurm(CLI::App& app);
void add_status(CLI::App& app);

/// This program's path, absolute.
[[nodiscard]] std::filesystem::path this_program();

/// `nativo eval translation`.
void add_eval_translation(CLI::App& eval_verb);

/// -c FILE and --set, as most verbs take them.
struct ConfigArguments {
  std::string file;
  std::vector<std::string> sets;

  /// Declares them; `required` = the verb makes no sense without a file.
  void add_to(CLI::App& verb, bool required);
  /// Reads the options; throws Error(kConfig | kMissingInput).
  [[nodiscard]] pipeline::PipelineOptions read() const;
  /// The arguments as they stand on a command line.
  [[nodiscard]] std::vector<std::string> words() const;
};

/// `--nodes 1 --ranks N`: the same verb under a supervisor that starts N ranks of it on this
/// machine and starts them again after faults.
struct LocalRanks {
  std::int64_t nodes = 1;
  std::int64_t ranks = 0;

  void add_to(CLI::App& verb);
  /// True when --ranks was given.
  [[nodiscard]] bool wanted() const;
  /// Runs until the ranks have ended. `run` is the run folder, `trainings` the folders in it whose
  /// checkpoints need a fence, `program` what each rank runs. Exits the process with their code
  /// unless that is 0.
  void run(const pipeline::PipelineOptions& options, const std::filesystem::path& run,
           const std::vector<std::filesystem::path>& trainings,
           const std::vector<std::string>& program) const;
  /// The same for `nativo VERB -c FILE --set ...`.
  void run_pipeline(const ConfigArguments& config, const std::string& verb) const;
};

/// Adds a stage's verb: with -c FILE the pipeline up to it, or, when `alone`, --input PATH for this
/// stage by itself. `other`, if given, is asked first: true when it did the work.
CLI::App& add_stage(CLI::App& app, const std::string& name, const std::string& help, bool alone,
                    const std::function<bool()>& other = {});

/// Adds an option --some-name for each field some_name that options.visit() names, with its help,
/// its range and the member's value as default. `options` must outlive the parsing.
template <class Options>
void add_visited(CLI::App& verb, Options& options);

/// The visitor behind add_visited.
class OptionAdder final : public config::Visitor {
 public:
  explicit OptionAdder(CLI::App& verb) : verb_(verb) {}

  void value(const config::Field& field, bool& value) override;
  void value(const config::Field& field, std::int64_t& value) override;
  void value(const config::Field& field, double& value) override;
  void value(const config::Field& field, std::string& value) override;
  void value(const config::Field& field, std::vector<std::string>& value) override;
  void path(const config::Field& field, std::string& value) override;

 protected:
  void enter(const config::Field& table) override;
  void leave() override {}

 private:
  CLI::App& verb_;
};

template <class Options>
void add_visited(CLI::App& verb, Options& options) {
  OptionAdder adder(verb);
  options.visit(adder);
}

/// The model directory that `path` means: itself, or a run folder's tuned model. Throws
/// Error(kMissingInput) when it is neither.
[[nodiscard]] std::filesystem::path find_model(const std::filesystem::path& path);

}  // namespace nativo::cli
