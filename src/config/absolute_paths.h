// Makes the paths in options independent of the folder that a program runs in.
#pragma once

#include <filesystem>

#include "config/visitor.h"

namespace nativo::config {

/// Every path that is relative becomes absolute by way of the current folder; empty ones and those
/// that begin with "init:" stay.
class AbsolutePaths final : public Visitor {
 public:
  void value(const Field& /*field*/, bool& /*value*/) override {}
  void value(const Field& /*field*/, std::int64_t& /*value*/) override {}
  void value(const Field& /*field*/, double& /*value*/) override {}
  void value(const Field& /*field*/, std::string& /*value*/) override {}
  void value(const Field& /*field*/, std::vector<std::string>& /*value*/) override {}
  void path(const Field& /*field*/, std::string& value) override {
    if (value.empty() || value.starts_with("init:")) return;
    value = std::filesystem::absolute(value).lexically_normal().native();
  }

 protected:
  void enter(const Field& /*table*/) override {}
  void leave() override {}
};

}  // namespace nativo::config
