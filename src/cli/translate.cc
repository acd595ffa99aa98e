// nativo translate: the stage of a pipeline; or, with --engine, lines of tokens from standard input
// through a translation model to standard output.
#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <memory>

#include "base/parallel.h"
#include "base/strings.h"
#include "cli/verb.h"
#include "generate/translator.h"
#include "io/lines.h"

namespace nativo::cli {
namespace {

struct EngineArguments {
  std::string engine;
  bool pretokenized = false;
  std::string prefixes;
  std::string compute = "stored";
  bool shortlist = false;
  std::int64_t rows = 64;
  std::int64_t lines = 4096;
  int threads = 0;
  generate::BeamSearchOptions search;

  void add_to(CLI::App& verb) {
    constexpr const char* kGroup = "With --engine";
    verb.add_option("--engine", engine,
                    "translate standard input with the CTranslate2 model in this folder")
        ->type_name("DIR");
    CLI::App* group = verb.add_option_group(kGroup, "tokens in, tokens out");
    group->add_flag("--pretokenized", pretokenized,
                    "a line is the tokens of a sentence, between spaces");
    group->add_option("--prefixes", prefixes, "a line of target tokens that each begins with")
        ->type_name("FILE");
    group->add_option("--compute", compute, "as the weights are stored, or so")
        ->check(CLI::IsMember({"stored", "f32", "int8"}))
        ->capture_default_str();
    group->add_flag("--shortlist", shortlist, "only tokens that the model's vmap.txt allows");
    group->add_option("--rows", rows, "hypotheses computed at a time, by each thread")
        ->check(CLI::Range(1, 1 << 16))
        ->capture_default_str();
    group->add_option("--lines", lines, "lines read before they are translated")
        ->check(CLI::Range(1, 1 << 24))
        ->capture_default_str();
    group->add_option("--threads", threads, "0 = all cores")
        ->check(CLI::Range(0, 4096))
        ->capture_default_str();
    add_visited(*group, search);
  }

  [[nodiscard]] model::ComputeType compute_type() const {
    if (compute == "f32") return model::ComputeType::kF32;
    return compute == "int8" ? model::ComputeType::kInt8 : model::ComputeType::kStored;
  }
};

std::vector<std::string> tokens_of(std::string_view line) {
  std::vector<std::string> tokens;
  for (const std::string_view token : split(line, ' ')) {
    if (!token.empty()) tokens.emplace_back(token);
  }
  return tokens;
}

std::string joined(const std::vector<std::string>& tokens) {
  return fmt::format("{}", fmt::join(tokens, " "));
}

/// One line a sentence; with several hypotheses "number ||| tokens ||| score", as Moses has it.
void print(const std::vector<generate::TranslatedTokens>& translations, std::uint64_t number,
           const generate::BeamSearchOptions& search) {
  for (const generate::TranslatedTokens& translation : translations) {
    if (search.num_hypotheses > 1) {
      fmt::print("{} ||| ", number);
    }
    fmt::print("{}", joined(translation.tokens));
    if (search.scores || search.num_hypotheses > 1) fmt::print(" ||| {:.6f}", translation.score);
    fmt::print("\n");
  }
}

void translate_lines(const EngineArguments& arguments) {
  if (!arguments.pretokenized) {
    throw Error(ExitCode::kUsage, "translate --engine needs --pretokenized",
                "a line of standard input is the tokens of a sentence, between spaces");
  }
  set_thread_count(arguments.threads);
  arguments.search.check();
  const generate::Translator translator(arguments.engine, arguments.compute_type());
  std::unique_ptr<io::LineReader> prefixes;
  if (!arguments.prefixes.empty()) prefixes = std::make_unique<io::LineReader>(arguments.prefixes);
  std::uint64_t number = 0;
  std::string line;
  for (bool more = true; more;) {
    std::vector<generate::TranslationRequest> requests;
    while (static_cast<std::int64_t>(requests.size()) < arguments.lines) {
      more = static_cast<bool>(std::getline(std::cin, line));
      if (!more) break;
      if (line.ends_with('\r')) line.pop_back();
      requests.push_back({tokens_of(line), {}});
      if (prefixes == nullptr) continue;
      if (!prefixes->next(line)) {
        throw Error(
            ExitCode::kData,
            fmt::format("{}: ends after line {}", arguments.prefixes, number + requests.size() - 1),
            "it has a line for each sentence, empty where there is no prefix");
      }
      requests.back().prefix = tokens_of(line);
    }
    const auto translations =
        translator.translate(requests, arguments.search, arguments.shortlist, arguments.rows);
    for (const auto& of_line : translations) print(of_line, number++, arguments.search);
    std::fflush(stdout);
  }
}

}  // namespace

void add_translate(CLI::App& app) {
  const auto engine = std::make_shared<EngineArguments>();
  CLI::App& verb =
      add_stage(app, "translate", "translate records into the run's language", true, [engine] {
        if (engine->engine.empty()) return false;
        translate_lines(*engine);
        return true;
      });
  engine->add_to(verb);
}

}  // namespace nativo::cli
