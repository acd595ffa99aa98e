// The values a chat template computes with: Python's, as far as templates see them, and strings
// that remember which of their bytes came from a message. Not here: syntax (jinja_parser.h),
// evaluation (jinja_interpreter.h). Values are small handles into a Heap that lives as long as one
// rendering, so that no reference cycle can leak and every byte is counted.
#pragma once

#include <cstdint>
#include <deque>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace nativo::text::jinja {

struct Statement;
struct Scope;
struct Loop;

/// What a template did wrong while it ran; the interpreter adds the position.
class EvalError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Bytes [begin, end) of a string that came from outside the template; `owner` says from where.
struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
  int owner = 0;
  friend bool operator==(const Span&, const Span&) = default;
};

/// UTF-8 text with its spans, sorted, apart from each other and not empty.
struct String {
  std::string bytes;
  std::vector<Span> spans;
};

struct Sequence;
struct Dict;
struct Function;

/// In Python's words: str, list, tuple, range, a view of a dict, an iterator that is used up.
enum class Kind : std::uint8_t {
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kList,
  kTuple,
  kRange,
  kView,
  kIterator,
  kDict,
  kNamespace,
  kFunction,
  kLoop,
};

struct Value {
  Kind kind = Kind::kUndefined;
  union {
    std::int64_t integer = 0;  ///< also kBool
    double number;
    const String* string;
    Sequence* sequence;
    Dict* dict;  ///< also kNamespace
    Function* function;
    Loop* loop;
    const char* name;  ///< kUndefined: what was not found, for messages; may be null
  };

  [[nodiscard]] bool is(Kind k) const { return kind == k; }
  [[nodiscard]] bool is_sequence() const { return kind >= Kind::kList && kind <= Kind::kIterator; }
  /// int or bool: Python's bool is an int.
  [[nodiscard]] bool is_integral() const { return kind == Kind::kInt || kind == Kind::kBool; }
  [[nodiscard]] bool is_number() const { return is_integral() || kind == Kind::kFloat; }
  [[nodiscard]] double as_double() const {
    return kind == Kind::kFloat ? number : static_cast<double>(integer);
  }
};

struct Sequence {
  std::vector<Value> items;
  std::size_t next = 0;  ///< kIterator: items before this one are used up
  std::string label;     ///< kView: "dict_items"; kRange: its repr
};

struct Dict {
  std::vector<std::pair<Value, Value>> items;  ///< in order of insertion, keys differ
};

struct Function {
  enum class Type : std::uint8_t { kGlobal, kMethod, kMacro };
  Type type = Type::kGlobal;
  std::string name;
  Value self;                        ///< kMethod
  const Statement* macro = nullptr;  ///< kMacro: its parameters and body
  Scope* closure = nullptr;
};

/// Bounds of one rendering. What goes beyond ends with EvalError.
struct Limits {
  std::uint64_t steps = 5'000'000;     ///< expressions evaluated and bytes/64 handled
  std::uint64_t memory = 256U << 20U;  ///< bytes of all values ever made
  std::uint64_t output = 64U << 20U;   ///< bytes rendered
  int depth = 400;                     ///< nested evaluations
};

/// Owns all values of one rendering and counts its work.
class Heap {
 public:
  explicit Heap(const Limits& limits) : limits_(limits) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  /// Counts `steps` of work; throws EvalError when the budget is spent.
  void work(std::uint64_t steps);
  /// Counts `bytes` of memory before they are taken, and the work of filling them.
  void reserve(std::uint64_t bytes);
  [[nodiscard]] const Limits& limits() const { return limits_; }
  /// How deep evaluations are nested now; see Depth.
  [[nodiscard]] int& nesting() { return nesting_; }

  Value string(String text);
  Value string(std::string bytes) { return string(String{std::move(bytes), {}}); }
  Value sequence(Kind kind, std::vector<Value> items, std::string label = {});
  Value list(std::vector<Value> items) { return sequence(Kind::kList, std::move(items)); }
  Value dict(std::vector<std::pair<Value, Value>> items, Kind kind = Kind::kDict);
  Value function(Function function);
  /// From JSON; every string that is a value (keys are not) is one span of `owner`, or plain when
  /// `owner` is kTrusted.
  Value from_json(const Json& json, int owner, int depth = 0);
  static constexpr int kTrusted = -1;

 private:
  Limits limits_;
  std::uint64_t steps_ = 0;
  std::uint64_t memory_ = 0;
  int nesting_ = 0;
  std::deque<String> strings_;
  std::deque<Sequence> sequences_;
  std::deque<Dict> dicts_;
  std::deque<Function> functions_;
};

/// Counts a nested evaluation while it lives; throws EvalError beyond the limit.
class Depth {
 public:
  Depth(int& depth, const Limits& limits) : depth_(depth) {
    if (depth_ >= limits.depth) throw EvalError("values or calls are nested too deeply");
    ++depth_;
  }
  ~Depth() { --depth_; }
  Depth(const Depth&) = delete;
  Depth& operator=(const Depth&) = delete;

 private:
  int& depth_;
};

inline Value none() { return {.kind = Kind::kNone, .integer = 0}; }
inline Value undefined(const char* name = nullptr) {
  return {.kind = Kind::kUndefined, .name = name};
}
inline Value boolean(bool b) { return {.kind = Kind::kBool, .integer = b ? 1 : 0}; }
inline Value integer(std::int64_t i) { return {.kind = Kind::kInt, .integer = i}; }
inline Value number(double d) { return {.kind = Kind::kFloat, .number = d}; }
inline Value literal(const String* s) { return {.kind = Kind::kString, .string = s}; }

/// "str", "list", ...: Python's name of the type, for messages.
[[nodiscard]] std::string_view type_name(const Value& value);
[[nodiscard]] bool truthy(const Value& value);
/// ==, as Python's. EvalError when nested too deeply.
[[nodiscard]] bool equal(Heap& heap, const Value& a, const Value& b);
/// Sign of a <=> b for numbers, strings, lists and tuples; EvalError for others.
/// NaN compares as unordered: `unordered` is set.
[[nodiscard]] int compare(Heap& heap, const Value& a, const Value& b, bool& unordered);
/// Throws EvalError for what cannot be a key of a dict.
void check_hashable(const Value& key);
/// The value under `key`, or null.
[[nodiscard]] Value* find(Heap& heap, Dict& dict, const Value& key);
[[nodiscard]] Value* find(Heap& heap, Dict& dict, std::string_view key);
/// Sets or replaces.
void assign(Heap& heap, Dict& dict, const Value& key, const Value& value);
/// All items of what can be iterated (uses up an iterator); EvalError for others.
[[nodiscard]] std::vector<Value> iterate(Heap& heap, const Value& value);
/// len(), or EvalError.
[[nodiscard]] std::int64_t length(Heap& heap, const Value& value);
/// Throws EvalError that names an undefined value that was used.
[[noreturn]] void fail_undefined(const Value& value);

}  // namespace nativo::text::jinja
