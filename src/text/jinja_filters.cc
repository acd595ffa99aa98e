// Filters, by name. What Jinja gives as a generator is an iterator here too: it is true even when
// empty, has no length and can be walked once.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/strings.h"
#include "text/jinja_runtime.h"

namespace nativo::text::jinja {
namespace {

using Filter = Value (*)(Heap&, const Value&, const Arguments&);

String text_of(Heap& heap, const Value& value) { return to_text(heap, value); }

bool flag(const Value* value) { return value != nullptr && truthy(*value); }

Value iterator(Heap& heap, std::vector<Value> items) {
  return heap.sequence(Kind::kIterator, std::move(items));
}

Value ignore_case(Heap& heap, const Value& value) {
  return value.is(Kind::kString) ? heap.string(lower(heap, *value.string)) : value;
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

Value trim(Heap& heap, const Value& value, const Arguments& arguments) {
  const auto args = bind(arguments, "trim", {"chars"});
  const String* chars =
      args[0] == nullptr || args[0]->is(Kind::kNone) ? nullptr : &string_argument(*args[0], "trim");
  return heap.string(strip(heap, text_of(heap, value), chars, true, true));
}

template <String (*F)(Heap&, const String&)>
Value textual(Heap& heap, const Value& value, const Arguments& arguments) {
  static_cast<void>(bind(arguments, "this filter", {}));
  return heap.string(F(heap, text_of(heap, value)));
}

String same_text(Heap&, const String& text) { return text; }

String escaped(Heap& heap, const String& text) {
  return map_pieces(heap, text, [](std::string_view piece) {
    std::string out;
    for (const char c : piece) {
      switch (c) {
        case '&':
          out += "&amp;";
          break;
        case '<':
          out += "&lt;";
          break;
        case '>':
          out += "&gt;";
          break;
        case '\'':
          out += "&#39;";
          break;
        case '"':
          out += "&#34;";
          break;
        default:
          out += c;
      }
    }
    return out;
  });
}

Value length_of(Heap& heap, const Value& value, const Arguments& arguments) {
  static_cast<void>(bind(arguments, "length", {}));
  return integer(length(heap, value));
}

Value to_json(Heap& heap, const Value& value, const Arguments& arguments) {
  const auto args =
      bind(arguments, "tojson", {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = flag(args[0]);
  style.sort_keys = flag(args[3]);
  if (args[1] != nullptr && !args[1]->is(Kind::kNone)) {
    if (args[1]->is(Kind::kString)) {
      style.indent = args[1]->string->bytes;
    } else {
      const std::int64_t width = int_argument(*args[1], "tojson's indent");
      if (width > 1000) throw EvalError("tojson's indent is too large");
      style.indent = std::string(static_cast<std::size_t>(std::max<std::int64_t>(width, 0)), ' ');
    }
    style.item_separator.pop_back();
  }
  if (args[2] != nullptr && !args[2]->is(Kind::kNone)) {
    const std::vector<Value> pair = iterate(heap, *args[2]);
    if (pair.size() != 2) throw EvalError("tojson's separators should be two");
    style.item_separator = string_argument(pair[0], "a separator").bytes;
    style.key_separator = string_argument(pair[1], "a separator").bytes;
  }
  TextBuilder out(heap);
  append_json(heap, out, value, style);
  return heap.string(out.take());
}

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

Value replace_filter(Heap& heap, const Value& value, const Arguments& arguments) {
  const auto args = bind(arguments, "replace", {"old", "new", "count"}, 2);
  const std::int64_t count = args[2] != nullptr && !args[2]->is(Kind::kNone)
                                 ? int_argument(*args[2], "replace's count")
                                 : -1;
  return heap.string(
      replace(heap, text_of(heap, value), to_text(heap, *args[0]), to_text(heap, *args[1]), count));
}

Value default_filter(Heap& heap, const Value& value, const Arguments& arguments) {
  const auto args = bind(arguments, "default", {"default_value", "boolean"});
  if (!value.is(Kind::kUndefined) && (!flag(args[1]) || truthy(value))) return value;
  return args[0] != nullptr ? *args[0] : heap.string(String{});
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

/// float(text), or nothing.
std::optional<double> parse_float(std::string_view text) {
  text = nativo::trim(text);
  std::string clean;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t k) {
      return k < text.size() && text[k] >= '0' && text[k] <= '9';
    };
    if (text[i] == '_' && i > 0 && digit(i - 1) && digit(i + 1)) continue;
    clean += text[i];
  }
  std::string_view rest = clean;
  if (rest.starts_with('+')) {
    rest.remove_prefix(1);
    if (rest.starts_with('-')) return std::nullopt;
  }
  double out = 0.0;
  const auto result = std::from_chars(rest.data(), rest.data() + rest.size(), out);
  if (result.ec == std::errc::result_out_of_range) throw EvalError("a float is out of range");
  if (result.ec != std::errc() || result.ptr != rest.data() + rest.size() ||
      rest.find('(') != rest.npos)
    return std::nullopt;
  return out;
}

/// int(text, base), or nothing.
std::optional<std::int64_t> parse_int(std::string_view text, std::int64_t base) {
  if (base < 2 || base > 36) throw EvalError("int: this base is not supported");
  text = nativo::trim(text);
  std::string clean;
  if (text.starts_with('+') || text.starts_with('-')) {
    if (text[0] == '-') clean.push_back('-');
    text.remove_prefix(1);
  }
  const std::string_view prefix = base == 16 ? "0x" : base == 8 ? "0o" : base == 2 ? "0b" : "";
  if (!prefix.empty() && text.size() > 2 && text[0] == '0' && (text[1] | 0x20) == prefix[1])
    text.remove_prefix(2);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_' && i > 0 && i + 1 < text.size() && text[i - 1] != '_') continue;
    if (text[i] == '-') return std::nullopt;
    clean += text[i];
  }
  std::int64_t out = 0;
  const auto end = clean.data() + clean.size();
  const auto result = std::from_chars(clean.data(), end, out, static_cast<int>(base));
  if (result.ec == std::errc::result_out_of_range)
    throw EvalError("int: the number is beyond 64 bits");
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return out;
}

std::optional<std::int64_t> truncated(double value) {
  if (!std::isfinite(value)) return std::nullopt;
  if (!(std::abs(value) < 9.2e18)) throw EvalError("int: the number is beyond 64 bits");
  return static_cast<std::int64_t>(value);
}

Value int_filter(Heap&, const Value& value, const Arguments& arguments) {
  const auto args = bind(arguments, "int", {"default", "base"});
  const Value missing = args[0] != nullptr ? *args[0] : integer(0);
  if (value.is(Kind::kUndefined)) fail_undefined(value);
  if (value.is_integral()) return integer(value.integer);
  std::optional<std::int64_t> out;
  if (value.is(Kind::kFloat)) {
    if (std::isinf(value.number)) throw EvalError("int of an infinite float");
    out = truncated(value.number);
  } else if (value.is(Kind::kString)) {
    out = parse_int(value.string->bytes, args[1] != nullptr ? int_argument(*args[1], "base") : 10);
    if (!out)
      if (const auto as_float = parse_float(value.string->bytes)) out = truncated(*as_float);
  }
  return out ? integer(*out) : missing;
}

Value float_filter(Heap&, const Value& value, const Arguments& arguments) {
  const auto args = bind(arguments, "float", {"default"});
  if (value.is(Kind::kUndefined)) fail_undefined(value);
  if (value.is_number()) return number(value.as_double());
  if (value.is(Kind::kString))
    if (const auto out = parse_float(value.string->bytes)) return number(*out);
  return args[0] != nullptr ? *args[0] : number(0.0);
}

Value round_filter(Heap&, const Value& value, const Arguments& arguments) {
  const auto args = bind(arguments, "round", {"precision", "method"});
  const std::int64_t precision = args[0] != nullptr ? int_argument(*args[0], "precision") : 0;
  const std::string method =
      args[1] != nullptr ? string_argument(*args[1], "method").bytes : "common";
  if (method != "common" && method != "ceil" && method != "floor")
    throw EvalError("round: method should be common, ceil or floor");
  if (value.is(Kind::kUndefined)) fail_undefined(value);
  if (!value.is_number()) throw EvalError(fmt::format("round of a {}", type_name(value)));
  if (precision < 0 || precision > 15) throw EvalError("round: precision should be 0 to 15");
  if (method == "common") {
    if (value.is_integral()) return integer(value.integer);
    if (!std::isfinite(value.number)) return value;
    const std::string text = fmt::format("{:.{}f}", value.number, precision);
    double out = 0.0;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return number(out);
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = value.as_double() * scale;
  return number((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Value abs_filter(Heap& heap, const Value& value, const Arguments& arguments) {
  static_cast<void>(bind(arguments, "abs", {}));
  if (value.is_integral())
    return value.integer < 0 ? binary_op(heap, "-", integer(0), value) : integer(value.integer);
  if (value.is(Kind::kFloat)) return number(std::abs(value.number));
  throw EvalError(fmt::format("abs of a {}", type_name(value)));
}

Value reverse_filter(Heap& heap, const Value& value, const Arguments& arguments) {
  static_cast<void>(bind(arguments, "reverse", {}));
  if (value.is(Kind::kString)) return heap.string(reversed(heap, *value.string));
  std::vector<Value> out = iterate(heap, value);
  std::reverse(out.begin(), out.end());
  return value.is(Kind::kIterator) || value.is(Kind::kUndefined) ? heap.list(std::move(out))
                                                                 : iterator(heap, std::move(out));
}

Value sort_filter(Heap& heap, const Value& value, const Arguments& arguments) {
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

Value min_filter(Heap& heap, const Value& value, const Arguments& arguments) {
  return extreme(heap, value, arguments, false);
}
Value max_filter(Heap& heap, const Value& value, const Arguments& arguments) {
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

Value indent(Heap& heap, const Value& value, const Arguments& arguments) {
  const auto args = bind(arguments, "indent", {"width", "first", "blank"});
  String by{"    ", {}};
  if (args[0] != nullptr) {
    if (args[0]->is(Kind::kString)) {
      by = *args[0]->string;
    } else {
      const std::int64_t width = int_argument(*args[0], "indent's width");
      if (width > 10000) throw EvalError("indent's width is too large");
      by.bytes = std::string(static_cast<std::size_t>(std::max<std::int64_t>(width, 0)), ' ');
    }
  }
  TextBuilder with_end(heap);
  with_end.append(string_argument(value, "what indent takes"));
  with_end.append("\n");
  const std::vector<String> lines = split_lines(heap, with_end.take(), false);
  TextBuilder out(heap);
  if (flag(args[1])) out.append(by);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) {
      out.append("\n");
      if (flag(args[2]) || !lines[i].bytes.empty()) out.append(by);
    }
    out.append(lines[i]);
  }
  return heap.string(out.take());
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

template <bool kByAttribute, bool kWanted>
Value pick_filter(Heap& heap, const Value& value, const Arguments& arguments) {
  return pick(heap, value, arguments, kByAttribute, kWanted);
}

Value format_filter(Heap& heap, const Value& value, const Arguments& arguments) {
  if (!arguments.named.empty()) throw EvalError("format with names is not supported");
  return heap.string(
      percent_format(heap, text_of(heap, value), heap.sequence(Kind::kTuple, arguments.values)));
}

constexpr std::array<std::pair<std::string_view, Filter>, 40> kFilters = {{
    {"abs", abs_filter},
    {"batch", batch},
    {"capitalize", textual<capitalize>},
    {"count", length_of},
    {"d", default_filter},
    {"default", default_filter},
    {"dictsort", dictsort},
    {"e", textual<escaped>},
    {"escape", textual<escaped>},
    {"first", first},
    {"float", float_filter},
    {"format", format_filter},
    {"indent", indent},
    {"int", int_filter},
    {"items", items},
    {"join", join},
    {"last", last},
    {"length", length_of},
    {"list", list},
    {"lower", textual<lower>},
    {"map", map},
    {"max", max_filter},
    {"min", min_filter},
    {"reject", pick_filter<false, false>},
    {"rejectattr", pick_filter<true, false>},
    {"replace", replace_filter},
    {"reverse", reverse_filter},
    {"round", round_filter},
    {"safe", textual<same_text>},
    {"select", pick_filter<false, true>},
    {"selectattr", pick_filter<true, true>},
    {"sort", sort_filter},
    {"string", textual<same_text>},
    {"sum", sum},
    {"title", textual<title_filter>},
    {"tojson", to_json},
    {"trim", trim},
    {"unique", unique},
    {"upper", textual<upper>},
    {"forceescape", textual<escaped>},
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
