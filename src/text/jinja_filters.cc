#include "text/jinja_filters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace nativo::text::jinja {
namespace {

using Filter = Value (*)(Heap&, const Value&, const Arguments&);

constexpr std::array<std::pair<std::string_view, Filter>, 40> kFilters = {{
    {"abs", filters::abs},
    {"batch", filters::batch},
    {"capitalize", filters::capitalize},
    {"count", filters::length_of},
    {"d", filters::default_value},
    {"default", filters::default_value},
    {"dictsort", filters::dictsort},
    {"e", filters::escape},
    {"escape", filters::escape},
    {"first", filters::first},
    {"float", filters::to_float},
    {"format", filters::format},
    {"indent", filters::indent},
    {"int", filters::to_int},
    {"items", filters::items},
    {"join", filters::join},
    {"last", filters::last},
    {"length", filters::length_of},
    {"list", filters::list},
    {"lower", filters::lower},
    {"map", filters::map},
    {"max", filters::max},
    {"min", filters::min},
    {"reject", filters::reject},
    {"rejectattr", filters::rejectattr},
    {"replace", filters::replace},
    {"reverse", filters::reverse},
    {"round", filters::round},
    {"safe", filters::string},
    {"select", filters::select},
    {"selectattr", filters::selectattr},
    {"sort", filters::sort},
    {"string", filters::string},
    {"sum", filters::sum},
    {"title", filters::title},
    {"tojson", filters::to_json},
    {"trim", filters::trim},
    {"unique", filters::unique},
    {"upper", filters::upper},
    {"forceescape", filters::escape},
}};

}  // namespace

bool is_filter(std::string_view name) {
  return std::any_of(kFilters.begin(), kFilters.end(),
                     [&](const auto& f) { return f.first == name; });
}

Value apply_filter(Heap& heap, const std::string& name, const Value& value,
                   const Arguments& arguments) {
  const Depth depth(heap.nesting(), heap.limits());
  heap.work(1 + arguments.values.size());
  for (const auto& [known, filter] : kFilters)
    if (known == name) return filter(heap, value, arguments);
  throw EvalError(fmt::format("the filter \"{}\" is unknown or not supported", name));
}

}  // namespace nativo::text::jinja
