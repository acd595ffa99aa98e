// The tests behind `is`.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "text/jinja_runtime.h"

namespace nativo::text::jinja {
namespace {

constexpr std::array<std::string_view, 38> kTests = {
    "odd",      "even",     "divisibleby", "defined", "undefined",   "none",   "boolean", "false",
    "true",     "integer",  "float",       "lower",   "upper",       "string", "mapping", "number",
    "sequence", "iterable", "callable",    "sameas",  "in",          "==",     "eq",      "equalto",
    "!=",       "ne",       ">",           "gt",      "greaterthan", "ge",     ">=",      "<",
    "lt",       "lessthan", "<=",          "le",      "filter",      "test"};

/// The operator that a comparison test stands for, or "".
std::string_view operator_of(std::string_view name) {
  if (name == "==" || name == "eq" || name == "equalto") return "==";
  if (name == "!=" || name == "ne") return "!=";
  if (name == ">" || name == "gt" || name == "greaterthan") return ">";
  if (name == ">=" || name == "ge") return ">=";
  if (name == "<" || name == "lt" || name == "lessthan") return "<";
  if (name == "<=" || name == "le") return "<=";
  return "";
}

bool same(const Value& a, const Value& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kBool:
    case Kind::kInt:
      return a.integer == b.integer;
    case Kind::kFloat:
      return a.number == b.number;
    case Kind::kString:
      return a.string == b.string || a.string->bytes == b.string->bytes;
    case Kind::kDict:
    case Kind::kNamespace:
      return a.dict == b.dict;
    case Kind::kFunction:
      return a.function == b.function;
    case Kind::kLoop:
      return a.loop == b.loop;
    default:
      return a.sequence == b.sequence;
  }
}

bool is_iterable(const Value& v) {
  return v.is_sequence() || v.is(Kind::kString) || v.is(Kind::kDict) || v.is(Kind::kUndefined) ||
         v.is(Kind::kLoop);
}

/// value % by, for odd, even, divisibleby.
Value remainder(Heap& heap, const Value& value, const Value& by) {
  if (!value.is_number()) throw EvalError(fmt::format("a {} has no parity", type_name(value)));
  return binary_op(heap, "%", value, by);
}

}  // namespace

bool is_test(std::string_view name) {
  return std::find(kTests.begin(), kTests.end(), name) != kTests.end();
}

bool apply_test(Heap& heap, const std::string& name, const Value& value,
                const Arguments& arguments) {
  if (!is_test(name)) throw EvalError(fmt::format("unknown test \"{}\"", name));
  if (const std::string_view op = operator_of(name); !op.empty()) {
    const auto args = bind(arguments, name, {"other"}, 1);
    return compare_op(heap, op, value, *args[0]);
  }
  if (name == "in") return contains(heap, *bind(arguments, name, {"seq"}, 1)[0], value);
  if (name == "sameas") return same(value, *bind(arguments, name, {"other"}, 1)[0]);
  if (name == "divisibleby") {
    const auto args = bind(arguments, name, {"num"}, 1);
    return equal(heap, remainder(heap, value, *args[0]), integer(0));
  }
  static_cast<void>(bind(arguments, name, {}));
  if (name == "odd") return equal(heap, remainder(heap, value, integer(2)), integer(1));
  if (name == "even") return equal(heap, remainder(heap, value, integer(2)), integer(0));
  if (name == "defined") return !value.is(Kind::kUndefined);
  if (name == "undefined") return value.is(Kind::kUndefined);
  if (name == "none") return value.is(Kind::kNone);
  if (name == "boolean") return value.is(Kind::kBool);
  if (name == "false") return value.is(Kind::kBool) && value.integer == 0;
  if (name == "true") return value.is(Kind::kBool) && value.integer != 0;
  if (name == "integer") return value.is(Kind::kInt);
  if (name == "float") return value.is(Kind::kFloat);
  if (name == "number") return value.is_number();
  if (name == "string") return value.is(Kind::kString);
  if (name == "mapping") return value.is(Kind::kDict);
  if (name == "callable") return value.is(Kind::kFunction) || value.is(Kind::kUndefined);
  if (name == "iterable") return is_iterable(value);
  if (name == "sequence") {
    return value.is(Kind::kString) || value.is(Kind::kDict) || value.is(Kind::kList) ||
           value.is(Kind::kTuple) || value.is(Kind::kRange) || value.is(Kind::kUndefined);
  }
  if (name == "filter" || name == "test") {
    if (!value.is(Kind::kString)) return false;
    return name == "filter" ? is_filter(value.string->bytes) : is_test(value.string->bytes);
  }
  const Value text = heap.string(to_text(heap, value));
  return truthy(call_string_method(heap, name == "upper" ? "isupper" : "islower", text, {}));
}

}  // namespace nativo::text::jinja
