// Where a model of this process computes, and in what: two options of the table that names it.
#pragma once

#include <string>
#include <string_view>

#include "config/visitor.h"
#include "model/numbers.h"

namespace nativo::generate {

struct DeviceOptions {
  std::string device = "cpu";
  std::string precision = "auto";

  void visit(config::Visitor& v);
  /// Throws as model::numbers_from_names.
  [[nodiscard]] model::Numbers numbers(std::string_view table = "") const {
    return model::numbers_from_names(table, device, precision);
  }
};

}  // namespace nativo::generate
