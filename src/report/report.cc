#include "report/report.h"

#include <fmt/format.h>

#include "base/error.h"
#include "io/file.h"
#include "report/embedded.h"
#include "report/html.h"
#include "report/run_files.h"
#include "report/sections.h"

namespace nativo::report {
namespace {

std::string navigation(const std::string& content) {
  constexpr std::pair<const char*, const char*> kSections[] = {
      {"evaluation", "Evaluation"},   {"dialogues", "Dialogues"},
      {"training", "Training"},       {"data", "Data"},
      {"translation", "Translation"}, {"lengths", "Lengths"},
      {"sources", "Sources"},         {"options", "Options"}};
  std::string links;
  for (const auto& [id, title] : kSections) {
    if (content.find(fmt::format("<section id=\"{}\">", id)) == std::string::npos) continue;
    links += fmt::format("<a href=\"#{}\">{}</a>", id, title);
  }
  return links.empty() ? "" : "<nav aria-label=\"Sections\">" + links + "</nav>";
}

}  // namespace

std::string render_report(const fs::path& run_folder) {
  const RunFiles run = read_run(run_folder);
  const std::string header = headline_section(run);
  const std::string content = evaluation_section(run) + dialogues_section(run) +
                              training_section(run) + stages_section(run) +
                              translation_section(run) + lengths_section(run) +
                              sources_section(run) + lock_section(run);
  // Nobody's script but these two: their digests stand in the page's policy.
  const std::string policy =
      fmt::format("default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {} {}",
                  script_hash(embedded::chart_library_js()), script_hash(embedded::charts_js()));
  return fill_template(embedded::page_html(), [&](std::string_view name) -> std::string {
    if (name == "policy") return policy;
    if (name == "title")
      return escape("nativo: " + run_folder.lexically_normal().filename().string());
    if (name == "style") return std::string(embedded::style_css());
    if (name == "header") return header;
    if (name == "navigation") return navigation(content);
    if (name == "content") return content;
    if (name == "data") return script_json(chart_data(run));
    if (name == "library") return std::string(embedded::chart_library_js());
    if (name == "charts") return std::string(embedded::charts_js());
    NATIVO_CHECK(false, "page.html names something unknown");
    return {};
  });
}

void write_report(const fs::path& run_folder, const fs::path& html) {
  io::write_file_atomically(html, render_report(run_folder));
}

}  // namespace nativo::report
