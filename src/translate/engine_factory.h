// The one place that knows which translation engines there are: a name of the pipeline file becomes
// an engine. Not here: what is asked of it (translate_stage.h).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "translate/engine.h"

namespace nativo::translate {

struct TranslateOptions;  // translate/translate_stage.h

/// What translate.engine may be.
[[nodiscard]] std::vector<std::string_view> engine_names();

/// The engine `name` (options.engine or a step of the ladder; argos:greedy is argos with a beam of
/// 1, argos:beam with one of at least 2) for options.from -> `to`, as `options` set it. Throws
/// Error(kConfig) for an unknown name or when no way joins the languages, Error(kMissingInput) that
/// says what to install or to fetch, Error(kData) when what the engine reads is damaged.
[[nodiscard]] std::unique_ptr<TranslationEngine> make_engine(std::string_view name,
                                                             const TranslateOptions& options,
                                                             const std::string& to);

/// Files and folders whose content decides what the engine answers, and that the pipeline file
/// names.
[[nodiscard]] std::vector<std::filesystem::path> engine_inputs(std::string_view name,
                                                               const TranslateOptions& options,
                                                               const std::string& to);

/// Why make_engine would throw, found without loading models; or nothing.
[[nodiscard]] std::optional<Error> engine_unavailable(std::string_view name,
                                                      const TranslateOptions& options,
                                                      const std::string& to);

}  // namespace nativo::translate
