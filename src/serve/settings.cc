#include "serve/settings.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::serve {
namespace {

/// The visitor for flat structs of numbers; SamplerOptions has nothing else.
class NumberVisitor : public config::Visitor {
 public:
  void value(const config::Field& field, bool& value) override {
    double number = value ? 1.0 : 0.0;
    visit_number(field, number, true);
    value = number != 0.0;
  }
  void value(const config::Field& field, std::int64_t& value) override {
    auto number = static_cast<double>(value);
    visit_number(field, number, true);
    value = static_cast<std::int64_t>(number);
  }
  void value(const config::Field& field, double& value) override {
    visit_number(field, value, false);
  }
  void value(const config::Field& field, std::string&) override { refuse(field); }
  void value(const config::Field& field, std::vector<std::string>&) override { refuse(field); }
  void path(const config::Field& field, std::string&) override { refuse(field); }

 protected:
  virtual void visit_number(const config::Field& field, double& number, bool whole) = 0;
  void enter(const config::Field& table) override { refuse(table); }
  void leave() override {}

 private:
  [[noreturn]] static void refuse(const config::Field& field) {
    NATIVO_CHECK(false, fmt::format("option {} is not a number", field.name));
    std::abort();
  }
};

class Setter final : public NumberVisitor {
 public:
  Setter(std::string_view name, std::string_view text) : name_(name), text_(text) {}
  [[nodiscard]] const std::string& complaint() const { return complaint_; }
  [[nodiscard]] bool found() const { return found_; }

 protected:
  void visit_number(const config::Field& field, double& number, bool whole) override {
    if (field.name != name_) return;
    found_ = true;
    // Beyond 2^53 a double no longer holds every integer.
    const double max = std::min(field.max, whole ? 0x1p53 : field.max);
    double parsed = 0.0;
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), parsed);
    if (error != std::errc() || end != text_.data() + text_.size() || !std::isfinite(parsed) ||
        (whole && parsed != std::floor(parsed))) {
      complaint_ = fmt::format("{} must be a {}number", name_, whole ? "whole " : "");
    } else if (parsed < field.min || parsed > max) {
      complaint_ = fmt::format("{} must lie between {:g} and {:g}", name_, field.min, max);
    } else {
      number = parsed;
    }
  }

 private:
  std::string_view name_;
  std::string_view text_;
  std::string complaint_;
  bool found_ = false;
};

class Lister final : public NumberVisitor {
 public:
  [[nodiscard]] const std::string& text() const { return text_; }

 protected:
  void visit_number(const config::Field& field, double& number, bool) override {
    text_ += fmt::format("  /{:<19} {:<8g} {}\n", field.name, number, field.help);
  }

 private:
  std::string text_;
};

}  // namespace

std::string set_option(generate::SamplerOptions& options, std::string_view name,
                       std::string_view value) {
  Setter setter(name, trim(value));
  options.visit(setter);
  return setter.found() ? setter.complaint()
                        : fmt::format("there is no option {}", printable(name));
}

bool has_option(std::string_view name) {
  generate::SamplerOptions options;
  Setter setter(name, "");
  options.visit(setter);
  return setter.found();
}

std::string list_options(generate::SamplerOptions options) {
  Lister lister;
  options.visit(lister);
  return lister.text();
}

}  // namespace nativo::serve
