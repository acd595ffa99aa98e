#include "translate/engine_factory.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/strings.h"
#include "translate/apertium_engine.h"
#include "translate/argos_engine.h"
#include "translate/llm_engine.h"
#include "translate/translate_stage.h"

namespace nativo::translate {
namespace {

using Paths = std::vector<std::filesystem::path>;

struct Maker {
  std::string_view name;
  std::unique_ptr<TranslationEngine> (*make)(const TranslateOptions&, const std::string& to);
  void (*check)(const TranslateOptions&, const std::string& to);  ///< see engine_unavailable()
  Paths (*inputs)(const TranslateOptions&, const std::string& to);
};

ApertiumSetup apertium(const TranslateOptions& options, const std::string& to) {
  return apertium_setup(options.from, to, static_cast<std::size_t>(options.workers));
}

constexpr std::array kMakers = {
    Maker{
        "apertium",
        [](const TranslateOptions& options, const std::string& to) {
          return make_apertium_engine(apertium(options, to));
        },
        [](const TranslateOptions& options, const std::string& to) { (void)apertium(options, to); },
        [](const TranslateOptions&, const std::string&) { return Paths(); }},
    Maker{"argos",
          [](const TranslateOptions& options, const std::string& to) {
            return make_argos_engine(options.argos, options.from, to);
          },
          [](const TranslateOptions& options, const std::string& to) {
            (void)argos_route(options.argos, options.from, to);
          },
          [](const TranslateOptions& options, const std::string& to) {
            return argos_route(options.argos, options.from, to);
          }},
    Maker{"llm",
          [](const TranslateOptions& options, const std::string& to) {
            return make_llm_engine(options.llm, options.from, to);
          },
          [](const TranslateOptions& options, const std::string& to) {
            check_llm_engine(options.llm, options.from, to);
          },
          [](const TranslateOptions& options, const std::string&) {
            Paths paths;
            for (const std::string& path : {options.llm.chat.model_dir, options.llm.prompt}) {
              if (!path.empty()) paths.emplace_back(path);
            }
            return paths;
          }},
};

/// A name and its variant: argos:greedy, argos:beam.
struct Named {
  const Maker& maker;
  TranslateOptions options;
};

Named resolve(std::string_view name, const TranslateOptions& options) {
  const std::size_t colon = std::min(name.find(':'), name.size());
  const auto found = std::find_if(kMakers.begin(), kMakers.end(), [&](const Maker& each) {
    return each.name == name.substr(0, colon);
  });
  const std::string_view variant = name.substr(std::min(colon + 1, name.size()));
  const bool known = colon == name.size() ||
                     (name.starts_with("argos:") && (variant == "greedy" || variant == "beam"));
  if (found == kMakers.end() || !known) {
    throw Error(
        ExitCode::kConfig,
        fmt::format(
            "[translate] names an engine \"{}\" (engine, ladder or round_trip_engine), which "
            "is unknown",
            printable(name)),
        fmt::format("use one of: {}, argos:greedy, argos:beam", fmt::join(engine_names(), ", ")));
  }
  Named named{*found, options};
  if (variant == "greedy") named.options.argos.beam_size = 1;
  if (variant == "beam" && options.argos.beam_size == 1) named.options.argos.beam_size = 4;
  return named;
}

}  // namespace

std::vector<std::string_view> engine_names() {
  std::vector<std::string_view> names;
  for (const Maker& each : kMakers) names.push_back(each.name);
  return names;
}

std::unique_ptr<TranslationEngine> make_engine(std::string_view name,
                                               const TranslateOptions& options,
                                               const std::string& to) {
  const Named named = resolve(name, options);
  return named.maker.make(named.options, to);
}

std::vector<std::filesystem::path> engine_inputs(std::string_view name,
                                                 const TranslateOptions& options,
                                                 const std::string& to) {
  const Named named = resolve(name, options);
  return named.maker.inputs(named.options, to);
}

std::optional<Error> engine_unavailable(std::string_view name, const TranslateOptions& options,
                                        const std::string& to) {
  try {
    const Named named = resolve(name, options);
    named.maker.check(named.options, to);
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  }
}

}  // namespace nativo::translate
