// nativo eval translation: BLEU and chrF2 of files of translations.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/parallel.h"
#include "cli/verb.h"
#include "eval/translation_files.h"
#include "eval/translation_scores.h"

namespace nativo::cli {
namespace {

struct Arguments {
  std::vector<std::string> translations = {"-"};
  std::vector<std::string> references;
  eval::TranslationScoreOptions options;
  bool json = false;
  int threads = 0;
};

/// sacreBLEU's last field says which program computed the score.
void sign(Json& scores) {
  for (Json& system : scores["systems"]) {
    for (const char* metric : {"bleu", "chrf"}) {
      std::string signature = system[metric]["signature"].get<std::string>();
      system[metric]["signature"] = signature + "|version:nativo-" NATIVO_VERSION;
    }
  }
}

void score_files(const Arguments& arguments) {
  set_thread_count(arguments.threads);
  const std::vector<std::filesystem::path> references(arguments.references.begin(),
                                                      arguments.references.end());
  std::vector<eval::TranslationSet> systems;
  for (const std::string& path : arguments.translations) {
    systems.push_back(eval::read_translations(path, references));
  }
  Json scores = eval::score_translations(systems, arguments.options);
  sign(scores);
  if (arguments.json) {
    fmt::print("{}\n", dump_json(scores));
    return;
  }
  fmt::print("{}", eval::translation_table(scores));
  if (!arguments.options.segments) return;
  for (const Json& system : scores["systems"]) {
    fmt::print("\n{:>7} {:>7} {:>7}  {}\n", "segment", "BLEU", "chrF2",
               system["name"].get<std::string>());
    std::size_t number = 0;
    for (const Json& segment : system["per_segment"]) {
      fmt::print("{:>7} {:>7.2f} {:>7.2f}\n", ++number, segment["bleu"].get<double>(),
                 segment["chrf"].get<double>());
    }
  }
}

}  // namespace

void add_eval_translation(CLI::App& eval_verb) {
  CLI::App* verb = eval_verb.add_subcommand(
      "translation", "BLEU (sacreBLEU's 13a) and chrF2 of translations against references");
  const auto arguments = std::make_shared<Arguments>();
  verb->add_option(
          "translations", arguments->translations,
          "lines, JSON lines (source, reference, hypothesis), records, or a stage's folder;"
          " - = standard input; several are compared with the first")
      ->type_name("FILE");
  verb->add_option("--ref", arguments->references,
                   "the references, line for line, or {\"id\", \"reference\"}; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->take_all();
  verb->add_flag("--json", arguments->json, "everything as one JSON object");
  verb->add_flag("--segments", arguments->options.segments, "also each segment's scores");
  verb->add_option("--resamples", arguments->options.resamples,
                   "of the bootstrap behind the intervals; 0 = no intervals")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  verb->add_option("--confidence", arguments->options.confidence, "of the intervals")
      ->check(CLI::Range(0.5, 0.9999))
      ->capture_default_str();
  verb->add_option("--seed", arguments->options.seed, "of the bootstrap")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb->add_option("--threads", arguments->threads, "0 = all cores")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  verb->callback([arguments] { score_files(*arguments); });
}

}  // namespace nativo::cli
