// Changing options by name while the program runs: /temperature 0.2.
#pragma once

#include <string>
#include <string_view>

#include "generate/sampler.h"

namespace nativo::serve {

/// Sets the sampler option called `name` from `value`, by the ranges its visit() declares. Returns
/// "" or, leaving the options as they were, a sentence that says what is wrong.
[[nodiscard]] std::string set_option(generate::SamplerOptions& options, std::string_view name,
                                     std::string_view value);

/// True when there is an option of that name.
[[nodiscard]] bool has_option(std::string_view name);

/// "  temperature         0.7     help" a line, for all options.
[[nodiscard]] std::string list_options(generate::SamplerOptions options);

}  // namespace nativo::serve
