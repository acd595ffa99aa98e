// Filters of texts and numbers.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/strings.h"
#include "text/jinja_filters.h"

namespace nativo::text::jinja::filters {
namespace {

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

Value textual(Heap& heap, const Value& value, const Arguments& arguments,
              String (*f)(Heap&, const String&)) {
  static_cast<void>(bind(arguments, "this filter", {}));
  return heap.string(f(heap, to_text(heap, value)));
}

}  // namespace

Value upper(Heap& heap, const Value& value, const Arguments& arguments) {
  return textual(heap, value, arguments, jinja::upper);
}

Value lower(Heap& heap, const Value& value, const Arguments& arguments) {
  return textual(heap, value, arguments, jinja::lower);
}

Value capitalize(Heap& heap, const Value& value, const Arguments& arguments) {
  return textual(heap, value, arguments, jinja::capitalize);
}

Value title(Heap& heap, const Value& value, const Arguments& arguments) {
  return textual(heap, value, arguments, title_filter);
}

Value escape(Heap& heap, const Value& value, const Arguments& arguments) {
  return textual(heap, value, arguments, escaped);
}

Value string(Heap& heap, const Value& value, const Arguments& arguments) {
  return textual(heap, value, arguments, [](Heap&, const String& text) { return text; });
}

Value trim(Heap& heap, const Value& value, const Arguments& arguments) {
  const auto args = bind(arguments, "trim", {"chars"});
  const String* chars =
      args[0] == nullptr || args[0]->is(Kind::kNone) ? nullptr : &string_argument(*args[0], "trim");
  return heap.string(strip(heap, to_text(heap, value), chars, true, true));
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

Value replace(Heap& heap, const Value& value, const Arguments& arguments) {
  const auto args = bind(arguments, "replace", {"old", "new", "count"}, 2);
  const std::int64_t count = args[2] != nullptr && !args[2]->is(Kind::kNone)
                                 ? int_argument(*args[2], "replace's count")
                                 : -1;
  return heap.string(
      replace(heap, to_text(heap, value), to_text(heap, *args[0]), to_text(heap, *args[1]), count));
}

Value default_value(Heap& heap, const Value& value, const Arguments& arguments) {
  const auto args = bind(arguments, "default", {"default_value", "boolean"});
  if (!value.is(Kind::kUndefined) && (!flag(args[1]) || truthy(value))) return value;
  return args[0] != nullptr ? *args[0] : heap.string(String{});
}

Value to_int(Heap&, const Value& value, const Arguments& arguments) {
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

Value to_float(Heap&, const Value& value, const Arguments& arguments) {
  const auto args = bind(arguments, "float", {"default"});
  if (value.is(Kind::kUndefined)) fail_undefined(value);
  if (value.is_number()) return number(value.as_double());
  if (value.is(Kind::kString))
    if (const auto out = parse_float(value.string->bytes)) return number(*out);
  return args[0] != nullptr ? *args[0] : number(0.0);
}

Value round(Heap&, const Value& value, const Arguments& arguments) {
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

Value abs(Heap& heap, const Value& value, const Arguments& arguments) {
  static_cast<void>(bind(arguments, "abs", {}));
  if (value.is_integral())
    return value.integer < 0 ? binary_op(heap, "-", integer(0), value) : integer(value.integer);
  if (value.is(Kind::kFloat)) return number(std::abs(value.number));
  throw EvalError(fmt::format("abs of a {}", type_name(value)));
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

Value format(Heap& heap, const Value& value, const Arguments& arguments) {
  if (!arguments.named.empty()) throw EvalError("format with names is not supported");
  return heap.string(
      percent_format(heap, to_text(heap, value), heap.sequence(Kind::kTuple, arguments.values)));
}

}  // namespace nativo::text::jinja::filters
