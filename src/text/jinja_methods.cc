// Methods of strings, dicts, lists and tuples. Only those that change nothing exist.
#include <fmt/format.h>
#include <unicode/uchar.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/strings.h"
#include "text/jinja_runtime.h"

namespace nativo::text::jinja {

std::vector<const Value*> bind(const Arguments& arguments, std::string_view what,
                               std::initializer_list<std::string_view> parameters,
                               std::size_t required) {
  std::vector<const Value*> out(parameters.size(), nullptr);
  if (arguments.values.size() > parameters.size())
    throw EvalError(fmt::format("{} takes at most {} arguments", what, parameters.size()));
  for (std::size_t i = 0; i < arguments.values.size(); ++i) out[i] = &arguments.values[i];
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(parameters.begin(), parameters.end(), name);
    if (found == parameters.end())
      throw EvalError(fmt::format("{} has no argument \"{}\"", what, name));
    const Value*& slot = out[static_cast<std::size_t>(found - parameters.begin())];
    if (slot != nullptr) throw EvalError(fmt::format("{} has \"{}\" twice", what, name));
    slot = &value;
  }
  for (std::size_t i = 0; i < required; ++i)
    if (out[i] == nullptr)
      throw EvalError(fmt::format("{} needs \"{}\"", what, parameters.begin()[i]));
  return out;
}

namespace {

constexpr std::array<std::string_view, 31> kStringMethods = {
    "strip",        "lstrip",  "rstrip",   "split",   "rsplit",    "splitlines", "startswith",
    "endswith",     "replace", "upper",    "lower",   "title",     "capitalize", "find",
    "rfind",        "index",   "rindex",   "count",   "join",      "isdigit",    "isalpha",
    "isalnum",      "isspace", "isupper",  "islower", "isnumeric", "isdecimal",  "removeprefix",
    "removesuffix", "format",  "partition"};
constexpr std::array<std::string_view, 16> kUnknownStringMethods = {
    "casefold",   "center",      "encode",       "expandtabs", "format_map", "isascii",
    "istitle",    "isprintable", "isidentifier", "ljust",      "maketrans",  "rjust",
    "rpartition", "swapcase",    "translate",    "zfill"};

Value list_of(Heap& heap, std::vector<String> pieces) {
  std::vector<Value> items;
  for (String& piece : pieces) items.push_back(heap.string(std::move(piece)));
  return heap.list(std::move(items));
}

/// Stretches without white space, at most `limit` cuts; the last one keeps what follows.
std::vector<String> split_space(Heap& heap, const String& text, std::int64_t limit, bool right) {
  std::vector<std::pair<std::size_t, std::size_t>> words;
  const std::string_view bytes = text.bytes;
  heap.reserve(bytes.size());
  for (std::size_t at = 0, begin = 0; at <= bytes.size();) {
    const std::size_t here = at;
    const bool space = at == bytes.size() || is_space(next_code_point(bytes, at));
    if (space) {
      if (here > begin) {
        words.emplace_back(begin, here);
        heap.reserve(sizeof(words[0]));
      }
      begin = at;
      if (here == bytes.size()) break;
    }
  }
  if (limit >= 0 && std::ssize(words) > limit) {
    const auto keep = static_cast<std::size_t>(limit);
    if (right) {
      const std::size_t first = words.size() - keep;
      // What stands before keeps its white space in front: rsplit strips only at the cut.
      std::vector<std::pair<std::size_t, std::size_t>> kept = {{0, words[first - 1].second}};
      kept.insert(kept.end(), words.begin() + static_cast<std::ptrdiff_t>(first), words.end());
      words = std::move(kept);
    } else {
      words.resize(keep + 1);
      words[keep].second = bytes.size();
    }
  }
  std::vector<String> out;
  for (const auto& [begin, end] : words) {
    heap.reserve(sizeof(String) + end - begin);
    out.push_back(substring(text, begin, end));
  }
  return out;
}

std::vector<String> split_at(Heap& heap, const String& text, const String& separator,
                             std::int64_t limit, bool right) {
  if (separator.bytes.empty()) throw EvalError("split: the separator is empty");
  const std::string_view bytes = text.bytes;
  heap.reserve(bytes.size());
  std::vector<std::size_t> cuts;
  if (right) {
    std::size_t end = bytes.size();
    const std::size_t width = separator.bytes.size();
    heap.work(bytes.size() / 64 * (1 + width / 16));
    while (limit != 0 && end >= width) {
      const std::size_t hit = bytes.substr(0, end).rfind(separator.bytes);
      if (hit == std::string_view::npos) break;
      cuts.push_back(hit);
      end = hit;
      --limit;
    }
    std::reverse(cuts.begin(), cuts.end());
  } else {
    for (std::size_t at = 0; limit != 0; --limit) {
      const std::size_t hit = find_bytes(bytes, separator.bytes, at);
      if (hit == std::string_view::npos) break;
      cuts.push_back(hit);
      at = hit + separator.bytes.size();
    }
  }
  std::vector<String> out;
  heap.reserve((cuts.size() + 1) * sizeof(String));
  std::size_t begin = 0;
  for (const std::size_t cut : cuts) {
    out.push_back(substring(text, begin, cut));
    begin = cut + separator.bytes.size();
  }
  out.push_back(substring(text, begin, bytes.size()));
  return out;
}

Value split(Heap& heap, const String& text, const Arguments& arguments, bool right) {
  const auto args = bind(arguments, "split", {"sep", "maxsplit"});
  const std::int64_t limit = args[1] != nullptr ? int_argument(*args[1], "maxsplit") : -1;
  if (args[0] == nullptr || args[0]->is(Kind::kNone))
    return list_of(heap, split_space(heap, text, limit, right));
  const String& separator = string_argument(*args[0], "split's separator");
  return list_of(heap, split_at(heap, text, separator, limit, right));
}

bool affix(const String& text, const Value& wanted, bool suffix) {
  if (wanted.is(Kind::kTuple)) {
    return std::any_of(
        wanted.sequence->items.begin(), wanted.sequence->items.end(), [&](const Value& one) {
          const std::string& bytes = string_argument(one, "an affix").bytes;
          return suffix ? text.bytes.ends_with(bytes) : text.bytes.starts_with(bytes);
        });
  }
  const std::string& bytes = string_argument(wanted, "an affix").bytes;
  return suffix ? text.bytes.ends_with(bytes) : text.bytes.starts_with(bytes);
}

/// find, rfind, index, rindex, count: positions in code points.
Value search(Heap& heap, const std::string& name, const String& text, const Arguments& arguments) {
  const auto args = bind(arguments, name, {"sub", "start", "end"}, 1);
  if (args[1] != nullptr || args[2] != nullptr)
    throw EvalError(fmt::format("{} with a start or an end is not supported", name));
  const std::string& needle = string_argument(*args[0], name).bytes;
  const std::string_view bytes = text.bytes;
  heap.work(bytes.size() / 16);
  if (name == "count") {
    if (needle.empty()) return integer(static_cast<std::int64_t>(count_code_points(bytes)) + 1);
    std::int64_t count = 0;
    for (std::size_t at = find_bytes(bytes, needle); at != std::string_view::npos;
         at = find_bytes(bytes, needle, at + needle.size()))
      ++count;
    return integer(count);
  }
  heap.work(bytes.size() / 16 * (1 + needle.size() / 64));
  const std::size_t hit = name[0] == 'r' ? bytes.rfind(needle) : find_bytes(bytes, needle);
  if (hit == std::string_view::npos) {
    if (name.ends_with("index")) throw EvalError("index: the string is not there");
    return integer(-1);
  }
  return integer(static_cast<std::int64_t>(count_code_points(bytes.substr(0, hit))));
}

/// isalpha and its like: true when there are letters and all of them are of the kind.
bool all_are(Heap& heap, const std::string& name, const String& text) {
  heap.work(text.bytes.size() / 16);
  bool some = false;
  for (std::size_t at = 0; at < text.bytes.size();) {
    const char32_t code = next_code_point(text.bytes, at);
    const auto c = static_cast<UChar32>(code);
    if (name == "isupper" || name == "islower") {
      const bool up = u_hasBinaryProperty(c, UCHAR_UPPERCASE) != 0 || u_istitle(c) != 0;
      const bool low = u_hasBinaryProperty(c, UCHAR_LOWERCASE) != 0;
      if (name == "isupper" ? low || u_istitle(c) : up) return false;
      some = some || up || low;
      continue;
    }
    const int numeric = u_getIntPropertyValue(c, UCHAR_NUMERIC_TYPE);
    const bool alpha = u_isalpha(c) != 0;
    bool is = false;
    if (name == "isspace") is = is_space(code);
    if (name == "isalpha") is = alpha;
    if (name == "isdecimal") is = numeric == U_NT_DECIMAL;
    if (name == "isdigit") is = numeric == U_NT_DECIMAL || numeric == U_NT_DIGIT;
    if (name == "isnumeric") is = numeric != U_NT_NONE;
    if (name == "isalnum") is = alpha || numeric != U_NT_NONE;
    if (!is) return false;
    some = true;
  }
  return some;
}

Value join(Heap& heap, const String& separator, const Value& list) {
  TextBuilder out(heap);
  bool first = true;
  if (list.is(Kind::kUndefined)) return heap.string(String{});
  for (const Value& item : iterate(heap, list)) {
    if (!first) out.append(separator);
    first = false;
    out.append(string_argument(item, "what join takes"));
  }
  return heap.string(out.take());
}

/// "{} {0} {name}".format(...): fields without attributes, conversions or format specifications.
Value format(Heap& heap, const String& text, const Arguments& arguments) {
  TextBuilder out(heap);
  const std::string& bytes = text.bytes;
  std::size_t automatic = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t mark = std::min(bytes.find_first_of("{}", at), bytes.size());
    out.append(text, at, mark);
    if (mark == bytes.size()) break;
    at = mark + 1;
    if (at < bytes.size() && bytes[at] == bytes[mark]) {
      out.append(text, mark, at);
      ++at;
      continue;
    }
    const std::size_t close = bytes.find('}', at);
    if (bytes[mark] == '}' || close == std::string::npos) throw EvalError("format: a single brace");
    const std::string field = bytes.substr(at, close - at);
    if (field.find_first_of(".[!:{") != std::string::npos)
      throw EvalError("format: only {}, {0} and {name} are supported");
    at = close + 1;
    const Value* value = nullptr;
    if (field.empty() ||
        (field.size() < 4 && field.find_first_not_of("0123456789") == std::string::npos)) {
      const std::size_t i = field.empty() ? automatic++ : std::stoul(field);
      if (i < arguments.values.size()) value = &arguments.values[i];
    }
    for (const auto& [name, named] : arguments.named)
      if (name == field) value = &named;
    if (value == nullptr) throw EvalError("format: a field without a value");
    append_text(heap, out, *value);
  }
  return heap.string(out.take());
}

}  // namespace

bool has_string_method(const std::string& name) {
  if (std::find(kUnknownStringMethods.begin(), kUnknownStringMethods.end(), name) !=
      kUnknownStringMethods.end())
    throw EvalError(fmt::format("the method \"{}\" of a str is not supported", name));
  return std::find(kStringMethods.begin(), kStringMethods.end(), name) != kStringMethods.end();
}

Value call_string_method(Heap& heap, const std::string& name, const Value& self,
                         const Arguments& arguments) {
  const String& text = *self.string;
  if (name == "strip" || name == "lstrip" || name == "rstrip") {
    const auto args = bind(arguments, name, {"chars"});
    const String* chars =
        args[0] == nullptr || args[0]->is(Kind::kNone) ? nullptr : &string_argument(*args[0], name);
    return heap.string(strip(heap, text, chars, name != "rstrip", name != "lstrip"));
  }
  if (name == "split" || name == "rsplit") return split(heap, text, arguments, name == "rsplit");
  if (name == "splitlines") {
    const auto args = bind(arguments, name, {"keepends"});
    return list_of(heap, split_lines(heap, text, args[0] != nullptr && truthy(*args[0])));
  }
  if (name == "startswith" || name == "endswith") {
    const auto args = bind(arguments, name, {"affix"}, 1);
    return boolean(affix(text, *args[0], name == "endswith"));
  }
  if (name == "removeprefix" || name == "removesuffix") {
    const auto args = bind(arguments, name, {"affix"}, 1);
    const std::size_t n = string_argument(*args[0], name).bytes.size();
    const bool suffix = name == "removesuffix";
    if (!affix(text, *args[0], suffix)) return self;
    const std::size_t size = text.bytes.size();
    return heap.string(substring(text, suffix ? 0 : n, suffix ? size - n : size));
  }
  if (name == "replace") {
    const auto args = bind(arguments, name, {"old", "new", "count"}, 2);
    const std::int64_t count = args[2] != nullptr ? int_argument(*args[2], name) : -1;
    return heap.string(replace(heap, text, string_argument(*args[0], name),
                               string_argument(*args[1], name), count));
  }
  if (name == "partition") {
    const auto args = bind(arguments, name, {"sep"}, 1);
    std::vector<String> parts = split_at(heap, text, string_argument(*args[0], name), 1, false);
    std::vector<Value> items;
    const bool found = parts.size() == 2;
    items.push_back(heap.string(std::move(parts[0])));
    items.push_back(found ? *args[0] : heap.string(String{}));
    items.push_back(found ? heap.string(std::move(parts[1])) : heap.string(String{}));
    return heap.sequence(Kind::kTuple, std::move(items));
  }
  if (name == "join") {
    const auto args = bind(arguments, name, {"iterable"}, 1);
    return join(heap, text, *args[0]);
  }
  if (name == "format") return format(heap, text, arguments);
  if (name.ends_with("find") || name.ends_with("index") || name == "count")
    return search(heap, name, text, arguments);
  static_cast<void>(bind(arguments, name, {}));
  if (name == "upper") return heap.string(upper(heap, text));
  if (name == "lower") return heap.string(lower(heap, text));
  if (name == "title") return heap.string(title_method(heap, text));
  if (name == "capitalize") return heap.string(capitalize(heap, text));
  return boolean(all_are(heap, name, text));
}

Value call_method(Heap& heap, const Function& method, const Arguments& arguments) {
  const std::string& name = method.name;
  const Value& self = method.self;
  if (self.is(Kind::kString)) return call_string_method(heap, name, self, arguments);
  if (self.is(Kind::kDict)) {
    const auto& items = self.dict->items;
    if (name == "get") {
      const auto args = bind(arguments, name, {"key", "default"}, 1);
      check_hashable(*args[0]);
      if (const Value* found = find(heap, *self.dict, *args[0])) return *found;
      return args[1] != nullptr ? *args[1] : none();
    }
    static_cast<void>(bind(arguments, name, {}));
    if (name == "copy") return heap.dict(items);
    std::vector<Value> out;
    for (const auto& [key, value] : items) {
      if (name == "items") {
        out.push_back(heap.sequence(Kind::kTuple, {key, value}));
      } else {
        out.push_back(name == "keys" ? key : value);
      }
    }
    return heap.sequence(Kind::kView, std::move(out), "dict_" + name);
  }
  if (name == "copy") {
    static_cast<void>(bind(arguments, name, {}));
    return heap.list(self.sequence->items);
  }
  const auto args = bind(arguments, name, {"value"}, 1);
  std::int64_t count = 0;
  for (std::size_t i = 0; i < self.sequence->items.size(); ++i) {
    if (!equal(heap, self.sequence->items[i], *args[0])) continue;
    if (name == "index") return integer(static_cast<std::int64_t>(i));
    ++count;
  }
  if (name == "index") throw EvalError("index: the value is not there");
  return integer(count);
}

}  // namespace nativo::text::jinja
