#include "text/jinja_value.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "base/strings.h"
#include "text/jinja_strings.h"

namespace nativo::text::jinja {

void Heap::work(std::uint64_t steps) {
  steps_ += steps;
  if (steps_ > limits_.steps) throw EvalError("the template does too much work");
}

void Heap::reserve(std::uint64_t bytes) {
  if (bytes > limits_.memory - memory_) throw EvalError("the template uses too much memory");
  memory_ += bytes;
  work(1 + bytes / 64);
}

Value Heap::string(String text) {
  reserve(sizeof(String) + text.bytes.size() + text.spans.size() * sizeof(Span));
  strings_.push_back(std::move(text));
  return literal(&strings_.back());
}

Value Heap::sequence(Kind kind, std::vector<Value> items, std::string label) {
  reserve(sizeof(Sequence) + items.size() * sizeof(Value));
  sequences_.push_back({std::move(items), 0, std::move(label)});
  Value value;
  value.kind = kind;
  value.sequence = &sequences_.back();
  return value;
}

Value Heap::dict(std::vector<std::pair<Value, Value>> items, Kind kind) {
  reserve(sizeof(Dict) + items.size() * sizeof(std::pair<Value, Value>));
  dicts_.push_back({std::move(items)});
  Value value;
  value.kind = kind;
  value.dict = &dicts_.back();
  return value;
}

Value Heap::function(Function function) {
  reserve(sizeof(Function));
  functions_.push_back(std::move(function));
  Value value;
  value.kind = Kind::kFunction;
  value.function = &functions_.back();
  return value;
}

Value Heap::from_json(const Json& json, int owner, int depth) {
  if (depth > limits_.depth) throw EvalError("the conversation is nested too deeply");
  switch (json.type()) {
    case Json::value_t::boolean:
      return boolean(json.get<bool>());
    case Json::value_t::number_integer:
      return integer(json.get<std::int64_t>());
    case Json::value_t::number_unsigned: {
      const auto n = json.get<std::uint64_t>();
      if (n > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        throw EvalError("the conversation has an integer beyond 64 bits");
      return integer(static_cast<std::int64_t>(n));
    }
    case Json::value_t::number_float:
      return number(json.get<double>());
    case Json::value_t::string: {
      String text{json.get<std::string>(), {}};
      if (!is_valid_utf8(text.bytes)) throw EvalError("the conversation is not UTF-8");
      if (owner != kTrusted && !text.bytes.empty()) text.spans = {{0, text.bytes.size(), owner}};
      return string(std::move(text));
    }
    case Json::value_t::array: {
      std::vector<Value> items;
      for (const Json& item : json) items.push_back(from_json(item, owner, depth + 1));
      return list(std::move(items));
    }
    case Json::value_t::object: {
      std::vector<std::pair<Value, Value>> items;
      for (const auto& [key, item] : json.items()) {
        if (!is_valid_utf8(key)) throw EvalError("the conversation is not UTF-8");
        String name{key, {}};
        if (owner != kTrusted && !key.empty()) name.spans = {{0, key.size(), owner}};
        const Value name_value = string(std::move(name));
        items.emplace_back(name_value, from_json(item, owner, depth + 1));
      }
      return dict(std::move(items));
    }
    default:
      return none();
  }
}

std::string_view type_name(const Value& value) {
  switch (value.kind) {
    case Kind::kUndefined:
      return "undefined";
    case Kind::kNone:
      return "none";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kRange:
      return "range";
    case Kind::kView:
      return "view of a dict";
    case Kind::kIterator:
      return "iterator";
    case Kind::kDict:
      return "dict";
    case Kind::kNamespace:
      return "namespace";
    case Kind::kFunction:
      return "function";
    case Kind::kLoop:
      return "loop";
  }
  return "value";
}

bool truthy(const Value& value) {
  switch (value.kind) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return value.integer != 0;
    case Kind::kFloat:
      return value.number != 0.0;
    case Kind::kString:
      return !value.string->bytes.empty();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
    case Kind::kView:
      return !value.sequence->items.empty();
    case Kind::kDict:
      return !value.dict->items.empty();
    default:
      return true;
  }
}

void fail_undefined(const Value& value) {
  throw EvalError(value.name != nullptr
                      ? fmt::format("\"{}\" is not defined", printable(value.name))
                      : std::string("an undefined value is used"));
}

namespace {

/// Sign of i <=> d, exactly: an int64 is not always a double.
int compare_int_double(std::int64_t i, double d) {
  if (d >= 9223372036854775808.0) return -1;
  if (d < -9223372036854775808.0) return 1;
  const auto whole = static_cast<std::int64_t>(d);
  if (i != whole) return i < whole ? -1 : 1;
  const double rest = d - static_cast<double>(whole);
  return rest > 0.0 ? -1 : rest < 0.0 ? 1 : 0;
}

int compare_numbers(const Value& a, const Value& b, bool& unordered) {
  if (a.is_integral() && b.is_integral())
    return a.integer < b.integer ? -1 : a.integer > b.integer ? 1 : 0;
  const double x = a.as_double();
  const double y = b.as_double();
  if (std::isnan(x) || std::isnan(y)) {
    unordered = true;
    return 1;
  }
  if (a.is_integral()) return compare_int_double(a.integer, y);
  if (b.is_integral()) return -compare_int_double(b.integer, x);
  return x < y ? -1 : x > y ? 1 : 0;
}

bool equal_at(Heap& heap, const Value& a, const Value& b, int depth) {
  if (depth > heap.limits().depth) throw EvalError("values are nested too deeply to compare");
  heap.work(1);
  if (a.is_number() && b.is_number()) {
    bool unordered = false;
    return compare_numbers(a, b, unordered) == 0;
  }
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      heap.work(a.string->bytes.size() / 64);
      return a.string->bytes == b.string->bytes;
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange: {
      const auto& x = a.sequence->items;
      const auto& y = b.sequence->items;
      if (x.size() != y.size()) return false;
      for (std::size_t i = 0; i < x.size(); ++i)
        if (!equal_at(heap, x[i], y[i], depth + 1)) return false;
      return true;
    }
    case Kind::kDict: {
      if (a.dict->items.size() != b.dict->items.size()) return false;
      for (const auto& [key, value] : a.dict->items) {
        const Value* other = find(heap, *b.dict, key);
        if (other == nullptr || !equal_at(heap, value, *other, depth + 1)) return false;
      }
      return true;
    }
    case Kind::kFunction:
      return a.function == b.function;
    case Kind::kLoop:
      return a.loop == b.loop;
    case Kind::kNamespace:
      return a.dict == b.dict;
    default:
      return a.sequence == b.sequence;
  }
}

}  // namespace

bool equal(Heap& heap, const Value& a, const Value& b) { return equal_at(heap, a, b, 0); }

namespace {

int compare_at(Heap& heap, const Value& a, const Value& b, bool& unordered, int depth) {
  if (depth > heap.limits().depth) throw EvalError("values are nested too deeply to compare");
  heap.work(1);
  if (a.is(Kind::kUndefined)) fail_undefined(a);
  if (b.is(Kind::kUndefined)) fail_undefined(b);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b, unordered);
  if (a.is(Kind::kString) && b.is(Kind::kString)) {
    heap.work(a.string->bytes.size() / 64);
    const int order = a.string->bytes.compare(b.string->bytes);
    return order < 0 ? -1 : order > 0 ? 1 : 0;
  }
  if (a.kind == b.kind && (a.is(Kind::kList) || a.is(Kind::kTuple))) {
    const auto& x = a.sequence->items;
    const auto& y = b.sequence->items;
    for (std::size_t i = 0; i < x.size() && i < y.size(); ++i) {
      if (!equal(heap, x[i], y[i])) return compare_at(heap, x[i], y[i], unordered, depth + 1);
    }
    return x.size() < y.size() ? -1 : x.size() > y.size() ? 1 : 0;
  }
  throw EvalError(fmt::format("cannot order {} and {}", type_name(a), type_name(b)));
}

}  // namespace

int compare(Heap& heap, const Value& a, const Value& b, bool& unordered) {
  return compare_at(heap, a, b, unordered, 0);
}

void check_hashable(const Value& key) {
  // One level: tuples inside tuples can be deeper than the stack, and as keys they do no harm.
  if (key.is(Kind::kList) || key.is(Kind::kDict) || key.is(Kind::kView))
    throw EvalError(fmt::format("a {} cannot be a key", type_name(key)));
  if (key.is(Kind::kTuple))
    for (const Value& item : key.sequence->items)
      if (!item.is(Kind::kTuple)) check_hashable(item);
}

Value* find(Heap& heap, Dict& dict, const Value& key) {
  heap.work(dict.items.size() / 8);
  for (auto& [name, value] : dict.items)
    if (name.kind == key.kind || (name.is_number() && key.is_number()))
      if (equal(heap, name, key)) return &value;
  return nullptr;
}

Value* find(Heap& heap, Dict& dict, std::string_view key) {
  heap.work(dict.items.size() / 8);
  for (auto& [name, value] : dict.items)
    if (name.is(Kind::kString) && name.string->bytes == key) return &value;
  return nullptr;
}

void assign(Heap& heap, Dict& dict, const Value& key, const Value& value) {
  check_hashable(key);
  if (Value* old = find(heap, dict, key)) {
    *old = value;
    return;
  }
  heap.reserve(sizeof(std::pair<Value, Value>));
  dict.items.emplace_back(key, value);
}

std::vector<Value> iterate(Heap& heap, const Value& value) {
  switch (value.kind) {
    case Kind::kUndefined:
      return {};
    case Kind::kString: {
      const std::vector<std::size_t> at = offsets(heap, value.string->bytes);
      std::vector<Value> out;
      for (std::size_t i = 0; i + 1 < at.size(); ++i)
        out.push_back(heap.string(substring(*value.string, at[i], at[i + 1])));
      return out;
    }
    case Kind::kDict: {
      heap.reserve(value.dict->items.size() * sizeof(Value));
      std::vector<Value> out;
      for (const auto& item : value.dict->items) out.push_back(item.first);
      return out;
    }
    case Kind::kIterator: {
      Sequence& it = *value.sequence;
      heap.reserve((it.items.size() - it.next) * sizeof(Value));
      std::vector<Value> out(it.items.begin() + static_cast<std::ptrdiff_t>(it.next),
                             it.items.end());
      it.next = it.items.size();
      return out;
    }
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
    case Kind::kView:
      heap.reserve(value.sequence->items.size() * sizeof(Value));
      return value.sequence->items;
    default:
      throw EvalError(fmt::format("a {} cannot be iterated", type_name(value)));
  }
}

std::int64_t length(Heap& heap, const Value& value) {
  switch (value.kind) {
    case Kind::kUndefined:
      return 0;
    case Kind::kString:
      heap.work(value.string->bytes.size() / 64);
      return static_cast<std::int64_t>(count_code_points(value.string->bytes));
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
    case Kind::kView:
      return std::ssize(value.sequence->items);
    case Kind::kDict:
      return std::ssize(value.dict->items);
    default:
      throw EvalError(fmt::format("a {} has no length", type_name(value)));
  }
}

}  // namespace nativo::text::jinja
