// Translation by Argos Translate's packages, natively: sentences to tokens
// (translate/argos_words.h), tokens through the model (generate/translator.h), and back; through a
// third language where no package joins the two. It searches as Argos does (length penalty 0.2,
// unknown tokens replaced by the source's) but keeps every "_", translates all sentences that it is
// given together, and says so when a translation was cut short or lost a protected part.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "config/visitor.h"
#include "translate/engine.h"

namespace nativo::translate {

/// [translate.argos]
struct ArgosOptions {
  std::string package;
  std::int64_t beam_size = 4;
  std::string compute = "stored";
  ArgosOptions() = default;  // as an aggregate inside another it draws a wrong warning of GCC 12
  void visit(config::Visitor& v);
};

/// The packages that lead from `from` to `to`, in their order: the newest of each pair, as few as
/// possible (see shortest_route). Reads their metadata only. Throws Error(kConfig) when no package
/// is given or none of them lead there, Error(kMissingInput | kData) as find_argos_packages and
/// read_argos_metadata do.
[[nodiscard]] std::vector<std::filesystem::path> argos_route(const ArgosOptions& options,
                                                             const std::string& from,
                                                             const std::string& to);

/// Loads the packages of argos_route(). A sentence comes back with ok = false when it has more
/// tokens than the model has places, when its translation has no end, and when no way was found to
/// bring its parts through. Throws Error(kData) naming the file when a package is damaged.
[[nodiscard]] std::unique_ptr<TranslationEngine> make_argos_engine(const ArgosOptions& options,
                                                                   const std::string& from,
                                                                   const std::string& to);

}  // namespace nativo::translate
