// Operators, attributes and items. Rules are Python's; integers have 64 bits, and a result beyond
// them is an error.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/strings.h"
#include "text/jinja_runtime.h"

namespace nativo::text::jinja {
namespace {

[[noreturn]] void fail_overflow() { throw EvalError("an integer is beyond 64 bits"); }

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  if (b == -1 && a == INT64_MIN) fail_overflow();
  const std::int64_t q = a / b;
  return a % b != 0 && (a % b < 0) != (b < 0) ? q - 1 : q;
}

Value integer_op(std::string_view op, std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  if (op == "+") {
    if (__builtin_add_overflow(a, b, &out)) fail_overflow();
  } else if (op == "-") {
    if (__builtin_sub_overflow(a, b, &out)) fail_overflow();
  } else if (op == "*") {
    if (__builtin_mul_overflow(a, b, &out)) fail_overflow();
  } else if (op == "**") {
    if (b < 0) {
      if (a == 0) throw EvalError("0 to a negative power");
      return number(std::pow(static_cast<double>(a), static_cast<double>(b)));
    }
    out = 1;
    while (b > 0) {
      if (b & 1 && __builtin_mul_overflow(out, a, &out)) fail_overflow();
      b >>= 1;
      if (b > 0 && __builtin_mul_overflow(a, a, &a)) fail_overflow();
    }
  } else {
    if (b == 0) throw EvalError("division by zero");
    if (op == "/") return number(static_cast<double>(a) / static_cast<double>(b));
    out = floor_div(a, b);
    if (op == "%") out = b == -1 ? 0 : a - out * b;
  }
  return integer(out);
}

Value float_op(std::string_view op, double a, double b) {
  if (op == "+") return number(a + b);
  if (op == "-") return number(a - b);
  if (op == "*") return number(a * b);
  if (op == "**") {
    const double out = std::pow(a, b);
    if ((a == 0.0 && b < 0.0) || (std::isnan(out) && !std::isnan(a) && !std::isnan(b)) ||
        (std::isinf(out) && std::isfinite(a) && std::isfinite(b)))
      throw EvalError("a power has no real value in a double");
    return number(out);
  }
  if (b == 0.0) throw EvalError("division by zero");
  if (op == "/") return number(a / b);
  double rest = std::fmod(a, b);
  if (rest != 0.0) {
    if ((b < 0.0) != (rest < 0.0)) rest += b;
  } else {
    rest = std::copysign(0.0, b);
  }
  if (op == "%") return number(rest);
  double quotient = (a - rest) / b;
  if (quotient != 0.0) {
    const double whole = std::floor(quotient);
    quotient = quotient - whole > 0.5 ? whole + 1.0 : whole;
  } else {
    quotient = std::copysign(0.0, a / b);
  }
  return number(quotient);
}

Value repeat(Heap& heap, const Value& value, std::int64_t times) {
  times = std::max<std::int64_t>(times, 0);
  const std::size_t size =
      value.is(Kind::kString) ? value.string->bytes.size() : value.sequence->items.size();
  if (size > 0 && static_cast<std::uint64_t>(times) > heap.limits().memory / size)
    throw EvalError("a repetition is too large");
  heap.work(size == 0 ? 0 : static_cast<std::uint64_t>(times));
  if (size == 0) times = 0;
  if (value.is(Kind::kString)) {
    TextBuilder out(heap);
    for (std::int64_t i = 0; i < times; ++i) out.append(*value.string);
    return heap.string(out.take());
  }
  heap.reserve(static_cast<std::uint64_t>(times) * size * sizeof(Value));
  std::vector<Value> items;
  for (std::int64_t i = 0; i < times; ++i)
    items.insert(items.end(), value.sequence->items.begin(), value.sequence->items.end());
  return heap.sequence(value.kind, std::move(items));
}

bool is_listlike(const Value& v) { return v.is(Kind::kList) || v.is(Kind::kTuple); }

}  // namespace

Value binary_op(Heap& heap, std::string_view op, const Value& left, const Value& right) {
  if (op == "%" && left.is(Kind::kString))
    return heap.string(percent_format(heap, *left.string, right));
  if (left.is(Kind::kUndefined)) fail_undefined(left);
  if (right.is(Kind::kUndefined)) fail_undefined(right);
  if (left.is_number() && right.is_number()) {
    if (left.is_integral() && right.is_integral())
      return integer_op(op, left.integer, right.integer);
    return float_op(op, left.as_double(), right.as_double());
  }
  if (op == "+") {
    if (left.is(Kind::kString) && right.is(Kind::kString)) {
      TextBuilder out(heap);
      out.append(*left.string);
      out.append(*right.string);
      return heap.string(out.take());
    }
    if (is_listlike(left) && left.kind == right.kind) {
      const auto& a = left.sequence->items;
      const auto& b = right.sequence->items;
      heap.reserve((a.size() + b.size()) * sizeof(Value));
      std::vector<Value> items = a;
      items.insert(items.end(), b.begin(), b.end());
      return heap.sequence(left.kind, std::move(items));
    }
  }
  if (op == "*") {
    const auto repeats = [](const Value& v) { return v.is(Kind::kString) || is_listlike(v); };
    if (repeats(left) && right.is_integral()) return repeat(heap, left, right.integer);
    if (repeats(right) && left.is_integral()) return repeat(heap, right, left.integer);
  }
  throw EvalError(fmt::format("{} {} {} is not possible", type_name(left), op, type_name(right)));
}

bool contains(Heap& heap, const Value& container, const Value& item) {
  switch (container.kind) {
    case Kind::kUndefined:
      return false;
    case Kind::kString:
      if (item.is(Kind::kUndefined)) fail_undefined(item);
      if (!item.is(Kind::kString))
        throw EvalError(fmt::format("a {} is not in a string", type_name(item)));
      heap.work(container.string->bytes.size() / 16);
      return find_bytes(container.string->bytes, item.string->bytes) != std::string_view::npos;
    case Kind::kDict:
      check_hashable(item);
      return find(heap, *container.dict, item) != nullptr;
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
    case Kind::kView:
      for (const Value& other : container.sequence->items)
        if (equal(heap, other, item)) return true;
      return false;
    case Kind::kIterator: {
      Sequence& it = *container.sequence;
      while (it.next < it.items.size())
        if (equal(heap, it.items[it.next++], item)) return true;
      return false;
    }
    default:
      throw EvalError(fmt::format("nothing is in a {}", type_name(container)));
  }
}

bool compare_op(Heap& heap, std::string_view op, const Value& left, const Value& right) {
  if (op == "==") return equal(heap, left, right);
  if (op == "!=") return !equal(heap, left, right);
  bool unordered = false;
  const int order = compare(heap, left, right, unordered);
  if (unordered) return false;
  if (op == "<") return order < 0;
  if (op == "<=") return order <= 0;
  return op == ">" ? order > 0 : order >= 0;
}

std::int64_t int_argument(const Value& value, std::string_view what) {
  if (value.is(Kind::kUndefined)) fail_undefined(value);
  if (!value.is_integral())
    throw EvalError(fmt::format("{} should be an int, not a {}", what, type_name(value)));
  return value.integer;
}

const String& string_argument(const Value& value, std::string_view what) {
  if (value.is(Kind::kUndefined)) fail_undefined(value);
  if (!value.is(Kind::kString))
    throw EvalError(fmt::format("{} should be a str, not a {}", what, type_name(value)));
  return *value.string;
}

namespace {

/// A method of `value` as a value, or undefined.
Value method(Heap& heap, const Value& value, const std::string& name) {
  static constexpr std::array<std::string_view, 5> kDict = {"items", "keys", "values", "get",
                                                            "copy"};
  static constexpr std::array<std::string_view, 3> kList = {"count", "index", "copy"};
  bool known = false;
  if (value.is(Kind::kString)) {
    known = has_string_method(name);
  } else if (value.is(Kind::kDict)) {
    known = std::find(kDict.begin(), kDict.end(), name) != kDict.end();
  } else if (value.is(Kind::kList)) {
    known = std::find(kList.begin(), kList.end(), name) != kList.end();
  } else if (value.is(Kind::kTuple) || value.is(Kind::kRange)) {
    known = name == "count" || name == "index";
  }
  if (!known) return undefined();
  Function function;
  function.type = Function::Type::kMethod;
  function.name = name;
  function.self = value;
  return heap.function(std::move(function));
}

}  // namespace

Value get_attribute(Heap& heap, const Value& value, const std::string& name) {
  if (value.is(Kind::kUndefined)) fail_undefined(value);
  if (value.is(Kind::kNamespace)) {
    const Value* found = find(heap, *value.dict, name);
    return found != nullptr ? *found : undefined();
  }
  const Value known = method(heap, value, name);
  if (!known.is(Kind::kUndefined)) return known;
  if (value.is(Kind::kDict)) {
    static constexpr std::array<std::string_view, 5> kChanging = {"clear", "pop", "popitem",
                                                                  "setdefault", "update"};
    if (std::find(kChanging.begin(), kChanging.end(), name) != kChanging.end()) return undefined();
    if (const Value* found = find(heap, *value.dict, name)) return *found;
  }
  return undefined();
}

Value get_item(Heap& heap, const Value& value, const Value& key) {
  if (value.is(Kind::kUndefined)) fail_undefined(value);
  if (value.is(Kind::kDict)) {
    const bool hashable = !key.is(Kind::kList) && !key.is(Kind::kDict);
    if (hashable)
      if (const Value* found = find(heap, *value.dict, key)) return *found;
  } else if (key.is_integral()) {
    if (value.is(Kind::kString)) {
      const std::vector<std::size_t> at = offsets(heap, value.string->bytes);
      const std::int64_t size = std::ssize(at) - 1;
      const std::int64_t i = key.integer < 0 ? key.integer + size : key.integer;
      if (i < 0 || i >= size) return undefined();
      const auto k = static_cast<std::size_t>(i);
      return heap.string(substring(*value.string, at[k], at[k + 1]));
    }
    if (is_listlike(value) || value.is(Kind::kRange)) {
      const std::int64_t size = std::ssize(value.sequence->items);
      const std::int64_t i = key.integer < 0 ? key.integer + size : key.integer;
      if (i < 0 || i >= size) return undefined();
      return value.sequence->items[static_cast<std::size_t>(i)];
    }
  }
  if (!key.is(Kind::kString)) return undefined();
  if (value.is(Kind::kNamespace)) return get_attribute(heap, value, key.string->bytes);
  return method(heap, value, key.string->bytes);
}

Value get_slice(Heap& heap, const Value& value, const Value& start, const Value& stop,
                const Value& step) {
  if (value.is(Kind::kUndefined)) fail_undefined(value);
  const auto bound = [](const Value& v) -> std::optional<std::int64_t> {
    if (v.is(Kind::kNone)) return std::nullopt;
    return int_argument(v, "a slice's bound");
  };
  const auto from = bound(start);
  const auto to = bound(stop);
  const std::int64_t by = bound(step).value_or(1);
  if (value.is(Kind::kString)) return heap.string(slice(heap, *value.string, from, to, by));
  if (!is_listlike(value) && !value.is(Kind::kRange))
    throw EvalError(fmt::format("a {} cannot be sliced", type_name(value)));
  std::vector<Value> items;
  for (const std::int64_t i : slice_indices(heap, std::ssize(value.sequence->items), from, to, by))
    items.push_back(value.sequence->items[static_cast<std::size_t>(i)]);
  if (value.is(Kind::kRange)) throw EvalError("slices of a range are not supported");
  return heap.sequence(value.kind, std::move(items));
}

}  // namespace nativo::text::jinja
