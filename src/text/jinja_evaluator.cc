#include "text/jinja_evaluator.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace nativo::text::jinja {
namespace {

constexpr std::int64_t kMaxRange = 100000;
constexpr std::array<std::string_view, 5> kGlobals = {"range", "dict", "namespace",
                                                      "raise_exception", "strftime_now"};

Value range(Heap& heap, const Arguments& arguments) {
  const auto args = bind(arguments, "range", {"start", "stop", "step"}, 1);
  if (!arguments.named.empty()) throw EvalError("range takes no names");
  const std::int64_t one = int_argument(*args[0], "range");
  const std::int64_t start = args[1] != nullptr ? one : 0;
  const std::int64_t stop = args[1] != nullptr ? int_argument(*args[1], "range") : one;
  const std::int64_t step = args[2] != nullptr ? int_argument(*args[2], "range") : 1;
  if (step == 0) throw EvalError("range: the step is 0");
  std::vector<Value> items;
  for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (std::ssize(items) == kMaxRange) throw EvalError("range: more than 100000 numbers");
    items.push_back(integer(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return heap.sequence(Kind::kRange, std::move(items),
                       step == 1 ? fmt::format("range({}, {})", start, stop)
                                 : fmt::format("range({}, {}, {})", start, stop, step));
}

/// dict(pairs or mapping, name=value, ...), also for namespace().
Value make_dict(Heap& heap, const Arguments& arguments, Kind kind) {
  if (arguments.values.size() > 1) throw EvalError("dict takes at most one argument");
  const Value made = heap.dict({}, kind);
  for (const Value& from : arguments.values) {
    if (from.is(Kind::kDict)) {
      for (const auto& [key, value] : from.dict->items) assign(heap, *made.dict, key, value);
      continue;
    }
    for (const Value& pair : iterate(heap, from)) {
      const std::vector<Value> both = iterate(heap, pair);
      if (both.size() != 2) throw EvalError("dict: an item is not a pair");
      assign(heap, *made.dict, both[0], both[1]);
    }
  }
  for (const auto& [name, value] : arguments.named)
    assign(heap, *made.dict, heap.string(name), value);
  if (kind == Kind::kNamespace) {
    for (const auto& item : made.dict->items)
      if (item.first.is(Kind::kString) && item.first.string->bytes.starts_with('_'))
        throw EvalError("an attribute of a namespace begins with _");
  }
  return made;
}

}  // namespace

Value Evaluator::look_up(const std::string& name, const Scope& scope) {
  for (const Scope* at = &scope; at != nullptr; at = at->parent) {
    for (const auto& [known, value] : at->variables)
      if (known == name) return value;
  }
  if (std::find(kGlobals.begin(), kGlobals.end(), name) != kGlobals.end()) {
    Function function;
    function.name = name;
    return heap_.function(std::move(function));
  }
  return undefined(name.c_str());
}

Value Evaluator::eval_or_none(const ExprPtr& expr, Scope& scope) {
  return expr ? eval(*expr, scope) : none();
}

Value Evaluator::eval(const Expr& expr, Scope& scope) {
  const Depth depth(heap_.nesting(), heap_.limits());
  heap_.work(1);
  const auto child = [&](std::size_t i) { return eval(*expr.items[i], scope); };
  const auto here = [&] { at_ = expr.at; };
  here();
  switch (expr.kind) {
    case ExprKind::kString:
      return literal(&expr.text);
    case ExprKind::kInteger:
      return integer(expr.integer);
    case ExprKind::kFloat:
      return number(expr.number);
    case ExprKind::kBool:
      return boolean(expr.integer != 0);
    case ExprKind::kNone:
      return none();
    case ExprKind::kName:
      return look_up(expr.name, scope);
    case ExprKind::kAttribute: {
      const Value value = child(0);
      here();
      Value out = attribute(value, expr.name);
      if (out.is(Kind::kUndefined) && out.name == nullptr) out.name = expr.name.c_str();
      return out;
    }
    case ExprKind::kItem: {
      const Value value = child(0);
      const Value key = child(1);
      here();
      return item(value, key);
    }
    case ExprKind::kSlice: {
      const Value value = child(0);
      const Value start = eval_or_none(expr.items[1], scope);
      const Value stop = eval_or_none(expr.items[2], scope);
      const Value step = eval_or_none(expr.items[3], scope);
      here();
      return get_slice(heap_, value, start, stop, step);
    }
    case ExprKind::kCall: {
      const Value callee = child(0);
      const Arguments args = arguments(expr, scope);
      here();
      return call(callee, args);
    }
    case ExprKind::kFilter:
      return eval_filters(expr, scope, nullptr);
    case ExprKind::kTest: {
      const Value value = child(0);
      const Arguments args = arguments(expr, scope);
      here();
      return boolean(apply_test(heap_, expr.name, value, args));
    }
    case ExprKind::kList:
    case ExprKind::kTuple: {
      std::vector<Value> items;
      for (const ExprPtr& one : expr.items) items.push_back(eval(*one, scope));
      return heap_.sequence(expr.kind == ExprKind::kList ? Kind::kList : Kind::kTuple,
                            std::move(items));
    }
    case ExprKind::kDict:
      return eval_dict(expr, scope);
    case ExprKind::kNot:
      return boolean(!truthy(child(0)));
    case ExprKind::kNegative:
    case ExprKind::kPositive: {
      const Value value = child(0);
      here();
      if (value.is(Kind::kUndefined)) fail_undefined(value);
      if (!value.is_number()) throw EvalError(fmt::format("a {} has no sign", type_name(value)));
      const bool negative = expr.kind == ExprKind::kNegative;
      if (value.is(Kind::kFloat)) return number(negative ? -value.number : value.number);
      return negative ? binary_op(heap_, "-", integer(0), value) : integer(value.integer);
    }
    case ExprKind::kBinary: {
      const Value left = child(0);
      const Value right = child(1);
      here();
      return binary_op(heap_, expr.name, left, right);
    }
    case ExprKind::kConcat: {
      TextBuilder out(heap_);
      for (const ExprPtr& one : expr.items) append_text(heap_, out, eval(*one, scope));
      return heap_.string(out.take());
    }
    case ExprKind::kAnd:
    case ExprKind::kOr: {
      Value value;
      for (const ExprPtr& one : expr.items) {
        value = eval(*one, scope);
        if (truthy(value) == (expr.kind == ExprKind::kOr)) break;
      }
      return value;
    }
    case ExprKind::kCompare:
      return eval_compare(expr, scope);
    case ExprKind::kConditional:
      if (truthy(child(1))) return child(0);
      return expr.items[2] ? child(2) : undefined();
  }
  return undefined();
}

Value Evaluator::eval_compare(const Expr& expr, Scope& scope) {
  Value left = eval(*expr.items[0], scope);
  for (std::size_t i = 0; i < expr.ops.size(); ++i) {
    const Value right = eval(*expr.items[i + 1], scope);
    at_ = expr.at;
    const std::string& op = expr.ops[i];
    const bool holds = op == "in"       ? contains(heap_, right, left)
                       : op == "not in" ? !contains(heap_, right, left)
                                        : compare_op(heap_, op, left, right);
    if (!holds) return boolean(false);
    left = right;
  }
  return boolean(true);
}

Value Evaluator::eval_filters(const Expr& expr, Scope& scope, const Value* input) {
  Value value;
  if (!expr.items[0]) {
    if (input == nullptr) throw EvalError("a filter without a value");
    value = *input;
  } else if (expr.items[0]->kind == ExprKind::kFilter) {
    value = eval_filters(*expr.items[0], scope, input);
  } else {
    value = eval(*expr.items[0], scope);
  }
  const Arguments args = arguments(expr, scope);
  at_ = expr.at;
  return apply_filter(heap_, expr.name, value, args);
}

Value Evaluator::eval_dict(const Expr& expr, Scope& scope) {
  const Value made = heap_.dict({});
  for (std::size_t i = 0; i + 1 < expr.items.size(); i += 2) {
    const Value key = eval(*expr.items[i], scope);
    jinja::assign(heap_, *made.dict, key, eval(*expr.items[i + 1], scope));
  }
  return made;
}

Value Evaluator::attribute(const Value& value, const std::string& name) {
  if (value.is(Kind::kLoop)) return value.loop->attribute(name);
  if (value.is(Kind::kFunction) && name == "name" && value.function->type == Function::Type::kMacro)
    return heap_.string(value.function->name);
  return get_attribute(heap_, value, name);
}

Value Evaluator::item(const Value& value, const Value& key) {
  if (value.is(Kind::kLoop) && key.is(Kind::kString))
    return value.loop->attribute(key.string->bytes);
  return get_item(heap_, value, key);
}

Arguments Evaluator::arguments(const Expr& call, Scope& scope) {
  Arguments out;
  for (std::size_t i = 1; i < call.items.size(); ++i)
    out.values.push_back(eval(*call.items[i], scope));
  for (const auto& [name, value] : call.named) out.named.emplace_back(name, eval(*value, scope));
  return out;
}

Value Evaluator::call(const Value& callee, const Arguments& arguments, const Value* caller) {
  if (callee.is(Kind::kUndefined)) fail_undefined(callee);
  if (!callee.is(Kind::kFunction))
    throw EvalError(fmt::format("a {} cannot be called", type_name(callee)));
  const Function& function = *callee.function;
  if (caller != nullptr && function.type != Function::Type::kMacro)
    throw EvalError("{% call %} works with macros only");
  switch (function.type) {
    case Function::Type::kGlobal:
      return call_global(function.name, arguments);
    case Function::Type::kMethod:
      if (function.self.is(Kind::kLoop))
        return call_loop(*function.self.loop, function.name, arguments);
      return call_method(heap_, function, arguments);
    case Function::Type::kMacro:
      break;
  }
  return call_macro(function, arguments, caller);
}

Value Evaluator::call_macro(const Function& function, const Arguments& arguments,
                            const Value* caller) {
  const Depth depth(heap_.nesting(), heap_.limits());
  const Statement& macro = *function.macro;
  Scope& scope = new_scope(function.closure);
  const std::size_t count = macro.parameters.size();
  std::vector<const Value*> given(count, nullptr);
  std::vector<Value> extra;
  for (std::size_t i = 0; i < arguments.values.size(); ++i) {
    if (i < count) {
      given[i] = &arguments.values[i];
    } else {
      extra.push_back(arguments.values[i]);
    }
  }
  std::vector<std::pair<Value, Value>> named;
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(macro.parameters.begin(), macro.parameters.end(), name);
    const auto i = static_cast<std::size_t>(found - macro.parameters.begin());
    if (found == macro.parameters.end()) {
      named.emplace_back(heap_.string(name), value);
    } else if (given[i] != nullptr) {
      throw EvalError(fmt::format("macro {}: \"{}\" is given twice", macro.name, name));
    } else {
      given[i] = &value;
    }
  }
  if (!macro.takes_extra && (!extra.empty() || !named.empty()))
    throw EvalError(fmt::format("macro {} takes {} arguments", macro.name, count));
  if (macro.takes_extra) {
    set(heap_, scope, "varargs", heap_.sequence(Kind::kTuple, std::move(extra)));
    set(heap_, scope, "kwargs", heap_.dict(std::move(named)));
  }
  if (macro.kind == StatementKind::kMacro)
    set(heap_, scope, "caller", caller != nullptr ? *caller : undefined("caller"));
  const std::size_t first_default = count - std::min(count, macro.defaults.size());
  for (std::size_t i = 0; i < count; ++i) {
    Value value = undefined(macro.parameters[i].c_str());
    if (given[i] != nullptr) {
      value = *given[i];
    } else if (i >= first_default) {
      value = eval(*macro.defaults[i - first_default], scope);
    }
    set(heap_, scope, macro.parameters[i], value);
  }
  const Position at = at_;
  const Value text = capture(macro.body, scope);
  at_ = at;
  return text;
}

Value Evaluator::call_global(const std::string& name, const Arguments& arguments) {
  if (name == "range") return range(heap_, arguments);
  if (name == "dict") return make_dict(heap_, arguments, Kind::kDict);
  if (name == "namespace") return make_dict(heap_, arguments, Kind::kNamespace);
  if (name == "raise_exception") {
    const auto args = bind(arguments, name, {"message"}, 1);
    throw EvalError("the template says: " + to_text(heap_, *args[0]).bytes);
  }
  const auto args = bind(arguments, name, {"format"}, 1);
  const std::string& format = string_argument(*args[0], name).bytes;
  if (format.size() > 200) throw EvalError("strftime_now: the format is too long");
  if (format.empty()) return heap_.string(String{});
  // A mark in front tells an empty result from a failure.
  std::array<char, 4096> buffer{};
  const std::size_t size =
      std::strftime(buffer.data(), buffer.size(), ("x" + format).c_str(), &now_);
  if (size == 0) throw EvalError("strftime_now: this format gives too much");
  return heap_.string(std::string(buffer.data() + 1, size - 1));
}

Value Evaluator::call_loop(Loop& loop, const std::string& name, const Arguments& arguments) {
  if (!arguments.named.empty()) throw EvalError(fmt::format("loop.{} takes no names", name));
  if (name == "cycle") {
    if (arguments.values.empty()) throw EvalError("loop.cycle needs values");
    return arguments.values[loop.index % arguments.values.size()];
  }
  bool same = loop.has_changed && loop.changed.size() == arguments.values.size();
  for (std::size_t i = 0; same && i < loop.changed.size(); ++i)
    same = equal(heap_, loop.changed[i], arguments.values[i]);
  loop.changed = arguments.values;
  loop.has_changed = true;
  return boolean(!same);
}

}  // namespace nativo::text::jinja
