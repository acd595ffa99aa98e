// Translation by Apertium's rule-based pairs, offline: English to Italian goes through Spanish.
// The programs of each pair's mode file run as one long-lived chain; questions are streamed.
// Rule: the answer for a sentence depends on that sentence alone (see "Warm-up").
//
// Warm-up: Apertium 3.8's tagger changes its own table of open classes for good when it meets a
// class of readings that its training never saw (tagger_utils::find_similar_ambiguity_class assigns
// through a reference), until only three readings are left. A sentence sent first brings it to that
// fixed point, so that no later answer depends on what was asked before.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "translate/engine.h"
#include "translate/masking.h"
#include "translate/process_chain.h"

namespace nativo::translate {

/// One language pair: its programs, and a sentence in its source language to send first ("" =
/// none).
struct Link {
  std::vector<Argv> programs;
  std::string warm_up;
};

struct ApertiumSetup {
  std::vector<Link> links;      ///< one after the other
  std::size_t workers = 2;      ///< chains side by side, each on its own thread
  double timeout_seconds = 60;  ///< without any answer, after which a chain counts as hung
  std::string version;
  std::string (*between)(std::string_view stream) = nullptr;  ///< corrections before the next link
  WordLookup lookup = nullptr;  ///< words that only the last pair did not know
  std::string (*finish)(std::string_view source, std::string text) = nullptr;  ///< last corrections
};

/// The engine for `from` -> `to` from the installed Debian packages. Throws Error(kMissingInput)
/// that names the package to install, Error(kConfig) when no route joins the languages.
[[nodiscard]] ApertiumSetup apertium_setup(const std::string& from, const std::string& to,
                                           std::size_t workers);

/// Splits a line of a .mode file into programs: quotes removed, "-z" (flush at NUL) added, "$1" =
/// "-g".
[[nodiscard]] std::vector<Argv> parse_mode(std::string_view mode_line);

/// Starts the chains on the first call. A dead or hung chain is started again; a sentence that
/// breaks it again and again comes back with ok = false. Throws Error(kIo) when chains keep
/// breaking.
[[nodiscard]] std::unique_ptr<TranslationEngine> make_apertium_engine(ApertiumSetup setup);

}  // namespace nativo::translate
