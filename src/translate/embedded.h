// Our prompt files as they were at build time (cmake/embed.cmake).
#pragma once

#include <string_view>

namespace nativo::translate::embedded {

std::string_view italian_prompt();  ///< prompts/translate/it.prompt
std::string_view default_prompt();  ///< prompts/translate/default.prompt

}  // namespace nativo::translate::embedded
