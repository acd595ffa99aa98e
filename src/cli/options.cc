// nativo options: the reference of everything a pipeline file may say.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "cli/verb.h"
#include "config/config_file.h"

namespace nativo::cli {
namespace {

void print_text(const config::FieldDoc& doc) {
  fmt::print("{} = {}\n    {}", doc.key, doc.default_value, doc.help);
  if (!doc.allowed.empty()) fmt::print(" ({})", doc.allowed);
  fmt::print("\n");
}

void print_markdown(const config::FieldDoc& doc) {
  fmt::print("| `{}` | `{}` | {} | {} |\n", doc.key, doc.default_value, doc.help, doc.allowed);
}

}  // namespace

void add_options(CLI::App& app) {
  CLI::App* verb =
      app.add_subcommand("options", "list every option of a pipeline file with its default");
  const auto prefix = std::make_shared<std::string>();
  const auto markdown = std::make_shared<bool>(false);
  verb->add_option("prefix", *prefix, "only those that begin with this, e.g. train")
      ->type_name("PREFIX");
  verb->add_flag("--markdown", *markdown, "as the table of docs/options.md");
  verb->callback([prefix, markdown] {
    pipeline::PipelineOptions options;
    config::DocVisitor visitor;
    options.visit(visitor);
    if (*markdown) {
      fmt::print(
          "# Options\n\nWritten by `nativo options --markdown`.\n\n"
          "| key | default | what it does | allowed |\n|---|---|---|---|\n");
    }
    for (const config::FieldDoc& doc : visitor.docs()) {
      if (!doc.key.starts_with(*prefix)) continue;
      *markdown ? print_markdown(doc) : print_text(doc);
    }
  });
}

}  // namespace nativo::cli
