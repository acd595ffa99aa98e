// Values as text: str(), repr(), json.dumps and the % operator, as Python writes them.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/strings.h"
#include "text/jinja_strings.h"

namespace nativo::text::jinja {

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[32];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr;
  const std::string text(buffer, end);
  const std::size_t e = text.find('e');
  const int exponent = std::stoi(text.substr(e + 1));
  const bool negative = text[0] == '-';
  std::string digits;
  for (const char c : text.substr(negative ? 1 : 0, e - (negative ? 1 : 0)))
    if (c != '.') digits += c;
  std::string out = negative ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (digits.size() > 1) (out += '.') += digits.substr(1);
    return out + fmt::format("e{}{:02d}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return fmt::format("{}0.{:0>{}}{}", out, "", -exponent - 1, digits);
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) return out + digits + std::string(whole - digits.size(), '0') + ".0";
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

namespace {

/// A string as Python's repr writes it.
void append_quoted(Heap& heap, TextBuilder& out, const String& text) {
  const bool single = text.bytes.find('\'') == std::string::npos;
  const char quote = single || text.bytes.find('"') != std::string::npos ? '\'' : '"';
  const std::string_view mark(&quote, 1);
  out.append(mark);
  out.append(map_pieces(heap, text, [&](std::string_view piece) {
    std::string escaped;
    for (std::size_t at = 0; at < piece.size();) {
      const std::size_t begin = at;
      const char32_t c = next_code_point(piece, at);
      if (c == static_cast<unsigned char>(quote) || c == '\\') {
        escaped += '\\';
        escaped += static_cast<char>(c);
      } else if (c == '\n') {
        escaped += "\\n";
      } else if (c == '\r') {
        escaped += "\\r";
      } else if (c == '\t') {
        escaped += "\\t";
      } else if (c < 0x20 || (c >= 0x7F && c < 0xA1) || c == 0xAD) {
        escaped += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
      } else if ((c != ' ' && is_space(c)) || (c >= 0x200B && c <= 0x200F) ||
                 (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) ||
                 (c >= 0xE000 && c <= 0xF8FF) || c == 0xFEFF) {
        escaped += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      } else {
        escaped += piece.substr(begin, at - begin);
      }
    }
    return escaped;
  }));
  out.append(mark);
}

void append_value(Heap& heap, TextBuilder& out, const Value& value, bool quoted, int depth) {
  if (depth > heap.limits().depth) throw EvalError("a value is nested too deeply to print");
  heap.work(1);
  const auto items = [&](const std::vector<Value>& list, std::string_view open,
                         std::string_view close) {
    out.append(open);
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (i > 0) out.append(", ");
      append_value(heap, out, list[i], true, depth + 1);
    }
    out.append(close);
  };
  switch (value.kind) {
    case Kind::kUndefined:
      if (quoted) out.append("Undefined");
      return;
    case Kind::kNone:
      return out.append("None");
    case Kind::kBool:
      return out.append(value.integer != 0 ? "True" : "False");
    case Kind::kInt:
      return out.append(fmt::format("{}", value.integer));
    case Kind::kFloat:
      return out.append(float_repr(value.number));
    case Kind::kString:
      return quoted ? append_quoted(heap, out, *value.string) : out.append(*value.string);
    case Kind::kList:
      return items(value.sequence->items, "[", "]");
    case Kind::kTuple:
      return items(value.sequence->items, "(", value.sequence->items.size() == 1 ? ",)" : ")");
    case Kind::kRange:
      return out.append(value.sequence->label);
    case Kind::kView:
      out.append(value.sequence->label);
      return items(value.sequence->items, "([", "])");
    case Kind::kDict:
    case Kind::kNamespace: {
      out.append(value.is(Kind::kDict) ? "{" : "<Namespace {");
      for (std::size_t i = 0; i < value.dict->items.size(); ++i) {
        if (i > 0) out.append(", ");
        append_value(heap, out, value.dict->items[i].first, true, depth + 1);
        out.append(": ");
        append_value(heap, out, value.dict->items[i].second, true, depth + 1);
      }
      return out.append(value.is(Kind::kDict) ? "}" : "}>");
    }
    case Kind::kFunction:
    case Kind::kLoop:
    case Kind::kIterator:
      throw EvalError(fmt::format("a {} cannot be printed", type_name(value)));
  }
}

std::string json_escaped(std::string_view piece, bool ascii) {
  std::string out;
  for (std::size_t at = 0; at < piece.size();) {
    const std::size_t begin = at;
    const char32_t c = next_code_point(piece, at);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\b':
        out += "\\b";
        break;
      default:
        if (c < 0x20 || (ascii && c >= 0x7F && c < 0x10000 && c != 0x7F)) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else if (ascii && c >= 0x10000) {
          const auto rest = static_cast<unsigned>(c - 0x10000);
          out +=
              fmt::format("\\u{:04x}\\u{:04x}", 0xD800U + (rest >> 10U), 0xDC00U + (rest & 0x3FFU));
        } else {
          out += piece.substr(begin, at - begin);
        }
    }
  }
  return out;
}

std::string json_float(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  return float_repr(value);
}

void append_json_string(Heap& heap, TextBuilder& out, const String& text, bool ascii) {
  out.append("\"");
  out.append(map_pieces(heap, text, [&](std::string_view p) { return json_escaped(p, ascii); }));
  out.append("\"");
}

void append_json_key(Heap& heap, TextBuilder& out, const Value& key, bool ascii) {
  switch (key.kind) {
    case Kind::kString:
      return append_json_string(heap, out, *key.string, ascii);
    case Kind::kNone:
      return out.append("\"null\"");
    case Kind::kBool:
      return out.append(key.integer != 0 ? "\"true\"" : "\"false\"");
    case Kind::kInt:
      return out.append(fmt::format("\"{}\"", key.integer));
    case Kind::kFloat:
      return out.append(fmt::format("\"{}\"", json_float(key.number)));
    default:
      throw EvalError(fmt::format("tojson: a key is a {}", type_name(key)));
  }
}

}  // namespace

void append_text(Heap& heap, TextBuilder& out, const Value& value) {
  append_value(heap, out, value, false, 0);
}

void append_repr(Heap& heap, TextBuilder& out, const Value& value) {
  append_value(heap, out, value, true, 0);
}

String to_text(Heap& heap, const Value& value) {
  if (value.is(Kind::kString)) return *value.string;
  TextBuilder out(heap);
  append_text(heap, out, value);
  return out.take();
}

void append_json(Heap& heap, TextBuilder& out, const Value& value, const JsonStyle& style,
                 int level) {
  if (level > heap.limits().depth) throw EvalError("tojson: the value is nested too deeply");
  heap.work(1);
  const auto line = [&](int at) {
    if (!style.indent) return;
    out.append("\n");
    for (int i = 0; i < at; ++i) out.append(*style.indent);
  };
  switch (value.kind) {
    case Kind::kNone:
      return out.append("null");
    case Kind::kBool:
      return out.append(value.integer != 0 ? "true" : "false");
    case Kind::kInt:
      return out.append(fmt::format("{}", value.integer));
    case Kind::kFloat:
      return out.append(json_float(value.number));
    case Kind::kString:
      return append_json_string(heap, out, *value.string, style.ensure_ascii);
    case Kind::kList:
    case Kind::kTuple: {
      const auto& items = value.sequence->items;
      if (items.empty()) return out.append("[]");
      out.append("[");
      for (std::size_t i = 0; i < items.size(); ++i) {
        if (i > 0) out.append(style.item_separator);
        line(level + 1);
        append_json(heap, out, items[i], style, level + 1);
      }
      line(level);
      return out.append("]");
    }
    case Kind::kDict: {
      auto items = value.dict->items;
      heap.reserve(items.size() * sizeof(items[0]));
      if (items.empty()) return out.append("{}");
      if (style.sort_keys) {
        std::stable_sort(items.begin(), items.end(), [&](const auto& a, const auto& b) {
          bool unordered = false;
          return compare(heap, a.first, b.first, unordered) < 0;
        });
      }
      out.append("{");
      for (std::size_t i = 0; i < items.size(); ++i) {
        if (i > 0) out.append(style.item_separator);
        line(level + 1);
        append_json_key(heap, out, items[i].first, style.ensure_ascii);
        out.append(style.key_separator);
        append_json(heap, out, items[i].second, style, level + 1);
      }
      line(level);
      return out.append("}");
    }
    default:
      throw EvalError(fmt::format("tojson: a {} is not JSON", type_name(value)));
  }
}

String percent_format(Heap& heap, const String& format, const Value& args) {
  TextBuilder out(heap);
  const std::string& bytes = format.bytes;
  const bool is_tuple = args.is(Kind::kTuple);
  std::size_t used = 0;
  const auto next = [&]() -> Value {
    if (!is_tuple && used++ == 0) return args;
    if (is_tuple && used < args.sequence->items.size()) return args.sequence->items[used++];
    throw EvalError("% has too few values for its format");
  };
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t mark = std::min(bytes.find('%', at), bytes.size());
    out.append(format, at, mark);
    if (mark == bytes.size()) break;
    at = mark + 1;
    int precision = -1;
    if (at < bytes.size() && bytes[at] == '.') {
      precision = 0;
      for (++at; at < bytes.size() && bytes[at] >= '0' && bytes[at] <= '9'; ++at)
        precision = std::min(precision * 10 + (bytes[at] - '0'), 1000);
    }
    const char kind = at < bytes.size() ? bytes[at++] : '\0';
    if (precision > 50 || (precision >= 0 && kind != 'f'))
      throw EvalError("% with this precision is not supported");
    if (kind == '%') {
      out.append("%");
    } else if (kind == 's') {
      append_text(heap, out, next());
    } else if (kind == 'r') {
      append_repr(heap, out, next());
    } else if (kind == 'd' || kind == 'i') {
      const Value value = next();
      if (!value.is_number() || (value.is(Kind::kFloat) && !(std::abs(value.number) < 9.2e18)))
        throw EvalError(fmt::format("%d of a {}", type_name(value)));
      out.append(fmt::format(
          "{}", value.is(Kind::kFloat) ? static_cast<std::int64_t>(value.number) : value.integer));
    } else if (kind == 'f') {
      const Value value = next();
      if (!value.is_number()) throw EvalError(fmt::format("%f of a {}", type_name(value)));
      out.append(fmt::format("{:.{}f}", value.as_double(), precision < 0 ? 6 : precision));
    } else {
      throw EvalError("% supports %s, %r, %d, %i, %f, %.Nf and %%");
    }
  }
  const std::size_t given = is_tuple ? args.sequence->items.size() : used > 0 ? used : 0;
  if (is_tuple && used < given) throw EvalError("% has values that its format does not use");
  if (!is_tuple && used == 0 && !args.is(Kind::kDict) && !args.is(Kind::kList))
    throw EvalError("% has values that its format does not use");
  return out.take();
}

}  // namespace nativo::text::jinja
