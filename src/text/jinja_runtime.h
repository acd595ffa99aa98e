// What templates call: filters, tests, methods, attributes and items, as Jinja's immutable sandbox
// gives them. Not here: evaluation of the tree (jinja_interpreter.h).
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja_strings.h"
#include "text/jinja_value.h"

namespace nativo::text::jinja {

struct Arguments {
  std::vector<Value> values;
  std::vector<std::pair<std::string, Value>> named;
};

/// The arguments of `what` by parameter, null where one is not given. EvalError for too many, for
/// unknown names and for missing ones among the first `required`.
[[nodiscard]] std::vector<const Value*> bind(const Arguments& arguments, std::string_view what,
                                             std::initializer_list<std::string_view> parameters,
                                             std::size_t required = 0);

/// value.name and value[key]: undefined when there is no such thing, EvalError for an undefined
/// value. Methods that change a list or a dict are undefined, as in Jinja's sandbox.
[[nodiscard]] Value get_attribute(Heap& heap, const Value& value, const std::string& name);
[[nodiscard]] Value get_item(Heap& heap, const Value& value, const Value& key);
[[nodiscard]] Value get_slice(Heap& heap, const Value& value, const Value& start, const Value& stop,
                              const Value& step);

/// The method a Function of type kMethod names.
[[nodiscard]] Value call_method(Heap& heap, const Function& method, const Arguments& arguments);
/// A string's method; jinja_methods.cc serves those of dicts and lists.
[[nodiscard]] Value call_string_method(Heap& heap, const std::string& name, const Value& self,
                                       const Arguments& arguments);
/// Whether strings have this method and we know it; EvalError when Python's strings have it and we
/// do not.
[[nodiscard]] bool has_string_method(const std::string& name);

[[nodiscard]] Value apply_filter(Heap& heap, const std::string& name, const Value& value,
                                 const Arguments& arguments);
[[nodiscard]] bool apply_test(Heap& heap, const std::string& name, const Value& value,
                              const Arguments& arguments);
[[nodiscard]] bool is_filter(std::string_view name);
[[nodiscard]] bool is_test(std::string_view name);

/// left OP right for + - * / // % **, and `item in container`.
[[nodiscard]] Value binary_op(Heap& heap, std::string_view op, const Value& left,
                              const Value& right);
[[nodiscard]] bool contains(Heap& heap, const Value& container, const Value& item);
/// == != < <= > >=
[[nodiscard]] bool compare_op(Heap& heap, std::string_view op, const Value& left,
                              const Value& right);

/// An argument as an int or a string; EvalError that names `what` for other types.
[[nodiscard]] std::int64_t int_argument(const Value& value, std::string_view what);
[[nodiscard]] const String& string_argument(const Value& value, std::string_view what);

}  // namespace nativo::text::jinja
