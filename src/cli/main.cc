// nativo: the command line. Parses, hands over to a verb, turns errors into messages and exit
// codes.
#include <new>

#include "base/error.h"
#include "base/heartbeat.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/strings.h"
#include "cli/verb.h"

namespace {

using nativo::ExitCode;

constexpr const char* kAbout =
    "nativo makes a language model a native speaker: from English instructions and native text to "
    "a\n"
    "fine-tuned model, the proof that it improved, and a place to talk to it.";

constexpr const char* kFooter =
    "A first run:      ./quickstart\n"
    "Your own:         nativo run -c nativo.toml --set model.base=/models/Mistral-7B-v0.1\n"
    "Options of a run: nativo options\n"
    "\n"
    "Exit codes: 0 done, 64 usage, 65 bad data, 66 missing input, 70 bug, 73 locked by another "
    "run,\n"
    "74 input/output error, 75 interrupted or out of space: run again to continue, 78 "
    "configuration.";

int fail(ExitCode code, const std::string& message, const std::string& hint) {
  nativo::heartbeat::note_exit(static_cast<int>(code), message);
  if (message.empty()) return static_cast<int>(code);  // another rank says it
  nativo::log::error("{}", nativo::printable(message));
  if (!hint.empty()) nativo::log::line("  hint: ", nativo::printable(hint));
  return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
  nativo::spin_briefly(argv);
  nativo::install_signal_handlers();
  nativo::heartbeat::start_from_environment();
  CLI::App app(kAbout, "nativo");
  app.footer(kFooter);
  app.set_version_flag("--version", NATIVO_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->column_width(30);
  nativo::cli::add_run(app);
  nativo::cli::add_plan(app);
  nativo::cli::add_stages(app);
  nativo::cli::add_fetch(app);
  nativo::cli::add_train(app);
  nativo::cli::add_explain_batch(app);
  nativo::cli::add_eval(app);
  nativo::cli::add_report(app);
  nativo::cli::add_score(app);
  nativo::cli::add_tokenize(app);
  nativo::cli::add_chat(app);
  nativo::cli::add_export(app);
  nativo::cli::add_memory(app);
  nativo::cli::add_slurm(app);
  nativo::cli::add_status(app);
  nativo::cli::add_bench(app);
  nativo::cli::add_doctor(app);
  nativo::cli::add_options(app);
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(e);
    return fail(ExitCode::kUsage, e.what(),
                "nativo --help shows the commands, nativo VERB --help one of them");
  } catch (const nativo::Error& e) {
    return fail(e.code(), e.what(), e.hint());
  } catch (const std::bad_alloc&) {
    return fail(ExitCode::kTryAgain, "out of memory",
                "a smaller train.batch_tokens or train.seq_len needs less");
  } catch (const std::exception& e) {
    return fail(ExitCode::kInternal, std::string("unexpected: ") + e.what(),
                "this is a bug in nativo; please report it with the command you ran");
  }
}
