// Runs a parsed template: conversation in, text out, with the spans that came from the
// conversation and those that {% generation %} marks. Jinja's meaning as transformers sets it up
// (ImmutableSandboxedEnvironment, trim_blocks, lstrip_blocks, loop controls). A template can reach
// nothing but the variables it is given, and its work, memory, output and depth are bounded.
#pragma once

#include <ctime>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja_parser.h"
#include "text/jinja_value.h"

namespace nativo::text::jinja {

using Variables = std::vector<std::pair<std::string, Value>>;

struct Rendered {
  String text;
  /// Bytes [begin, end) of what {% generation %} blocks gave, in order.
  std::vector<std::pair<std::size_t, std::size_t>> generation;
};

/// An immutable parsed template; render() may run on several threads at once.
class Template {
 public:
  /// Throws Error(kData) that names `name`, line and column on what is not a template.
  Template(std::string_view source, std::string name);

  /// `variables` makes the template's variables in the rendering's heap; `now` is what
  /// strftime_now() formats (UTC or local, as the caller likes). Throws Error(kData) that names the
  /// template, line and column: what the template raises, what it cannot do, a bound reached.
  [[nodiscard]] Rendered render(const std::function<Variables(Heap&)>& variables,
                                const std::tm& now = {}, const Limits& limits = {}) const;

  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  std::string name_;
  Body body_;
};

}  // namespace nativo::text::jinja
