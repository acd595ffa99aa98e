// Data files of this folder as they were at build time (cmake/embed.cmake).
#pragma once

#include <string_view>

namespace nativo::text::embedded {

/// moses_prefixes.txt: a line a language: its code, the words that keep a full stop, and those that
/// keep it before a number only; tabs between these, spaces between words.
std::string_view moses_prefixes();

}  // namespace nativo::text::embedded
