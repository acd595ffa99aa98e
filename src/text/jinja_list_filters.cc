// Filters of lists and dicts. What Jinja gives as a generator is an iterator here too: it is true
// even when empty, has no length and can be walked once.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/strings.h"
#include "text/jinja_filters.h"

namespace nativo::text::jinja::filters {
namespace {

Value iterator(Heap& heap, std::vector<Value> items) {
  return heap.sequence(Kind::kIterator, std::move(items));
}

Value ignore_case(Heap& heap, const Value& value) {
  return value.is(Kind::kString) ? heap.string(jinja::lower(heap, *value.string)) : value;
}

/// value.a.0.b for the attribute "a.0.b".
Value dotted(Heap& heap, Value value, const Value& attribute, const Value* missing = nullptr) {
  if (attribute.is(Kind::kNone)) return value;
  if (!attribute.is(Kind::kString)) return get_item(heap, value, attribute);
  for (const std::string_view part : split(attribute.string->bytes, '.')) {
    const bool digits =
        !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
    std::int64_t index = 0;
    if (digits) std::from_chars(part.data(), part.data() + part.size(), index);
    value = get_item(heap, value, digits ? integer(index) : heap.string(std::string(part)));
    if (missing != nullptr && value.is(Kind::kUndefined)) value = *missing;
  }
  return value;
}

/// Orders values by their keys, keeping the order of equals; EvalError for what has no order.
std::vector<Value> sorted(Heap& heap, std::vector<std::pair<Value, Value>> keyed, bool reverse) {
  heap.work(keyed.size());
  // Reversed twice around a stable sort, as Python does: equals keep their order.
  if (reverse) std::reverse(keyed.begin(), keyed.end());
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    bool unordered = false;
    return compare(heap, a.first, b.first, unordered) < 0 && !unordered;
  });
  if (reverse) std::reverse(keyed.begin(), keyed.end());
  std::vector<Value> out;
  for (const auto& item : keyed) out.push_back(item.second);
  return out;
}

Value extreme(Heap& heap, const Value& value, const Arguments& arguments, bool largest) {
  const auto args = bind(arguments, "min", {"case_sensitive", "attribute"});
  Value best = undefined();
  Value best_key;
  bool any = false;
  for (const Value& item : iterate(heap, value)) {
    Value key = args[1] != nullptr ? dotted(heap, item, *args[1]) : item;
    if (!flag(args[0])) key = ignore_case(heap, key);
    const bool better = !any || compare_op(heap, largest ? ">" : "<", key, best_key);
    if (better) {
      best = item;
      best_key = key;
    }
    any = true;
  }
  return best;
}

Value pick(Heap& heap, const Value& value, const Arguments& arguments, bool by_attribute,
           bool wanted) {
  if (!truthy(value)) return iterator(heap, {});
  const std::size_t skip = by_attribute ? 1 : 0;
  if (arguments.values.size() < skip) throw EvalError("selectattr needs an attribute");
  std::vector<Value> out;
  Arguments rest;
  rest.named = arguments.named;
  std::string test;
  if (arguments.values.size() > skip) {
    test = string_argument(arguments.values[skip], "the name of a test").bytes;
    rest.values = {arguments.values.begin() + static_cast<std::ptrdiff_t>(skip) + 1,
                   arguments.values.end()};
  }
  for (const Value& item : iterate(heap, value)) {
    const Value tested = by_attribute ? dotted(heap, item, arguments.values[0]) : item;
    const bool passes = test.empty() ? truthy(tested) : apply_test(heap, test, tested, rest);
    if (passes == wanted) out.push_back(item);
  }
  return iterator(heap, std::move(out));
}

}  // namespace

Value join(Heap& heap, const Value& value, const Arguments& arguments) {
  const auto args = bind(arguments, "join", {"d", "attribute"});
  const String separator = args[0] != nullptr ? to_text(heap, *args[0]) : String{};
  TextBuilder out(heap);
  bool first = true;
  for (const Value& item : iterate(heap, value)) {
    if (!first) out.append(separator);
    first = false;
    append_text(
        heap, out,
        args[1] != nullptr && !args[1]->is(Kind::kNone) ? dotted(heap, item, *args[1]) : item);
  }
  return heap.string(out.take());
}

Value first(Heap& heap, const Value& value, const Arguments& arguments) {
  static_cast<void>(bind(arguments, "first", {}));
  if (value.is(Kind::kIterator)) {
    Sequence& it = *value.sequence;
    return it.next < it.items.size() ? it.items[it.next++] : undefined();
  }
  const std::vector<Value> items = iterate(heap, value);
  return items.empty() ? undefined() : items.front();
}

Value last(Heap& heap, const Value& value, const Arguments& arguments) {
  static_cast<void>(bind(arguments, "last", {}));
  if (value.is(Kind::kIterator)) throw EvalError("last of an iterator: put |list before it");
  const std::vector<Value> items = iterate(heap, value);
  return items.empty() ? undefined() : items.back();
}

Value list(Heap& heap, const Value& value, const Arguments& arguments) {
  static_cast<void>(bind(arguments, "list", {}));
  return heap.list(iterate(heap, value));
}

Value items(Heap& heap, const Value& value, const Arguments& arguments) {
  static_cast<void>(bind(arguments, "items", {}));
  std::vector<Value> out;
  if (value.is(Kind::kUndefined)) return iterator(heap, {});
  if (!value.is(Kind::kDict))
    throw EvalError(fmt::format("items of a {}, which is not a mapping", type_name(value)));
  for (const auto& [key, item] : value.dict->items)
    out.push_back(heap.sequence(Kind::kTuple, {key, item}));
  return iterator(heap, std::move(out));
}

Value reverse(Heap& heap, const Value& value, const Arguments& arguments) {
  static_cast<void>(bind(arguments, "reverse", {}));
  if (value.is(Kind::kString)) return heap.string(reversed(heap, *value.string));
  std::vector<Value> out = iterate(heap, value);
  std::reverse(out.begin(), out.end());
  return value.is(Kind::kIterator) || value.is(Kind::kUndefined) ? heap.list(std::move(out))
                                                                 : iterator(heap, std::move(out));
}

Value sort(Heap& heap, const Value& value, const Arguments& arguments) {
  const auto args = bind(arguments, "sort", {"reverse", "case_sensitive", "attribute"});
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& item : iterate(heap, value)) {
    std::vector<Value> keys;
    std::vector<Value> attributes = {args[2] != nullptr ? *args[2] : none()};
    if (attributes[0].is(Kind::kString)) {
      const std::string& all = attributes[0].string->bytes;
      attributes.clear();
      for (const std::string_view one : split(all, ','))
        attributes.push_back(heap.string(std::string(one)));
    }
    for (const Value& attribute : attributes) {
      const Value key = dotted(heap, item, attribute);
      keys.push_back(flag(args[1]) ? key : ignore_case(heap, key));
    }
    keyed.emplace_back(heap.list(std::move(keys)), item);
  }
  return heap.list(sorted(heap, std::move(keyed), flag(args[0])));
}

Value dictsort(Heap& heap, const Value& value, const Arguments& arguments) {
  const auto args = bind(arguments, "dictsort", {"case_sensitive", "by", "reverse"});
  const std::string by = args[1] != nullptr ? string_argument(*args[1], "by").bytes : "key";
  if (by != "key" && by != "value") throw EvalError("dictsort: by should be key or value");
  if (!value.is(Kind::kDict)) throw EvalError(fmt::format("dictsort of a {}", type_name(value)));
  std::vector<std::pair<Value, Value>> keyed;
  for (const auto& [name, item] : value.dict->items) {
    const Value key = by == "key" ? name : item;
    keyed.emplace_back(flag(args[0]) ? key : ignore_case(heap, key),
                       heap.sequence(Kind::kTuple, {name, item}));
  }
  return heap.list(sorted(heap, std::move(keyed), flag(args[2])));
}

Value unique(Heap& heap, const Value& value, const Arguments& arguments) {
  const auto args = bind(arguments, "unique", {"case_sensitive", "attribute"});
  std::vector<Value> seen;
  std::vector<Value> out;
  for (const Value& item : iterate(heap, value)) {
    Value key = args[1] != nullptr ? dotted(heap, item, *args[1]) : item;
    if (!flag(args[0])) key = ignore_case(heap, key);
    check_hashable(key);
    if (std::any_of(seen.begin(), seen.end(),
                    [&](const Value& other) { return equal(heap, other, key); }))
      continue;
    seen.push_back(key);
    out.push_back(item);
  }
  return iterator(heap, std::move(out));
}

Value min(Heap& heap, const Value& value, const Arguments& arguments) {
  return extreme(heap, value, arguments, false);
}
Value max(Heap& heap, const Value& value, const Arguments& arguments) {
  return extreme(heap, value, arguments, true);
}

Value sum(Heap& heap, const Value& value, const Arguments& arguments) {
  const auto args = bind(arguments, "sum", {"attribute", "start"});
  Value total = args[1] != nullptr ? *args[1] : integer(0);
  for (const Value& item : iterate(heap, value)) {
    const bool whole = args[0] == nullptr || args[0]->is(Kind::kNone);
    total = binary_op(heap, "+", total, whole ? item : dotted(heap, item, *args[0]));
  }
  return total;
}

Value batch(Heap& heap, const Value& value, const Arguments& arguments) {
  const auto args = bind(arguments, "batch", {"linecount", "fill_with"}, 1);
  const std::int64_t size = int_argument(*args[0], "batch's size");
  if (size < 1) throw EvalError("batch's size should be at least 1");
  std::vector<Value> out;
  std::vector<Value> row;
  for (const Value& item : iterate(heap, value)) {
    if (std::ssize(row) == size) out.push_back(heap.list(std::exchange(row, {})));
    row.push_back(item);
  }
  if (!row.empty()) {
    if (args[1] != nullptr && !args[1]->is(Kind::kNone)) {
      heap.reserve(std::min<std::uint64_t>(static_cast<std::uint64_t>(size), 1ULL << 40U) *
                   sizeof(Value));
      row.resize(static_cast<std::size_t>(size), *args[1]);
    }
    out.push_back(heap.list(std::move(row)));
  }
  return iterator(heap, std::move(out));
}

Value map(Heap& heap, const Value& value, const Arguments& arguments) {
  std::vector<Value> out;
  if (!truthy(value)) return iterator(heap, {});
  if (arguments.values.empty()) {
    const auto args = bind(arguments, "map", {"attribute", "default"}, 1);
    const Value* missing = args[1] != nullptr && !args[1]->is(Kind::kNone) ? args[1] : nullptr;
    for (const Value& item : iterate(heap, value))
      out.push_back(dotted(heap, item, *args[0], missing));
    return iterator(heap, std::move(out));
  }
  const std::string name = string_argument(arguments.values[0], "map's filter").bytes;
  Arguments rest{{arguments.values.begin() + 1, arguments.values.end()}, arguments.named};
  for (const Value& item : iterate(heap, value))
    out.push_back(apply_filter(heap, name, item, rest));
  return iterator(heap, std::move(out));
}

Value select(Heap& heap, const Value& value, const Arguments& arguments) {
  return pick(heap, value, arguments, false, true);
}

Value reject(Heap& heap, const Value& value, const Arguments& arguments) {
  return pick(heap, value, arguments, false, false);
}

Value selectattr(Heap& heap, const Value& value, const Arguments& arguments) {
  return pick(heap, value, arguments, true, true);
}

Value rejectattr(Heap& heap, const Value& value, const Arguments& arguments) {
  return pick(heap, value, arguments, true, false);
}

}  // namespace nativo::text::jinja::filters
