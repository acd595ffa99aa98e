// nativo plan --simulate: step time, memory, tokens a second and cost on a cluster, on paper.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/verb.h"

namespace nativo::cli {

struct Simulation {
  std::string model;
  std::vector<std::string> settings;
  bool json = false;

  void add_to(CLI::App& verb);
  [[nodiscard]] bool wanted() const { return !settings.empty(); }
  /// Prints the estimates. `config` says how to train, and the model when that is not given.
  void show(const ConfigArguments& config) const;
};

}  // namespace nativo::cli
