#include "text/jinja_interpreter.h"

#include <fmt/format.h>

#include "base/error.h"
#include "text/jinja_evaluator.h"

namespace nativo::text::jinja {

Template::Template(std::string_view source, std::string name)
    : name_(std::move(name)), body_(parse(source, name_)) {}

Rendered Template::render(const std::function<Variables(Heap&)>& variables, const std::tm& now,
                          const Limits& limits) const {
  Evaluator evaluator(limits, now);
  try {
    return evaluator.run(body_, variables(evaluator.heap()));
  } catch (const EvalError& e) {
    fail_at(name_, evaluator.position(), e.what());
  }
}

Rendered Evaluator::run(const Body& body, const Variables& variables) {
  TextBuilder out(heap_);
  out_ = &out;
  main_ = &out;
  Scope& globals = new_scope(nullptr);
  for (const auto& [name, value] : variables) set(heap_, globals, name, value);
  Scope& scope = new_scope(&globals);
  execute(body, scope);
  return {out.take(), std::move(generation_)};
}

Scope& Evaluator::new_scope(Scope* parent) {
  heap_.reserve(sizeof(Scope));
  scopes_.push_back({parent, {}});
  return scopes_.back();
}

void Evaluator::set(Heap& heap, Scope& scope, std::string_view name, const Value& value) {
  for (auto& [known, old] : scope.variables) {
    if (known == name) {
      old = value;
      return;
    }
  }
  heap.reserve(sizeof(std::pair<std::string_view, Value>));
  heap.work(scope.variables.size() / 8);
  scope.variables.emplace_back(name, value);
}

void Evaluator::output(const Value& value) {
  append_text(heap_, *out_, value);
  if (out_->size() > heap_.limits().output) throw EvalError("the output is too large");
}

Value Evaluator::capture(const Body& body, Scope& scope) {
  TextBuilder out(heap_);
  TextBuilder* const outer = std::exchange(out_, &out);
  execute(body, scope);
  out_ = outer;
  return heap_.string(out.take());
}

Evaluator::Flow Evaluator::execute(const Body& body, Scope& scope) {
  const Depth depth(heap_.nesting(), heap_.limits());
  for (const auto& statement : body) {
    const Flow flow = execute(*statement, scope);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Evaluator::Flow Evaluator::execute(const Statement& statement, Scope& scope) {
  at_ = statement.at;
  heap_.work(1);
  switch (statement.kind) {
    case StatementKind::kData:
      output(literal(&statement.text));
      break;
    case StatementKind::kOutput:
      output(eval(*statement.value, scope));
      break;
    case StatementKind::kIf:
      for (const Branch& branch : statement.branches) {
        if (branch.test && !truthy(eval(*branch.test, scope))) continue;
        return execute(branch.body, scope);
      }
      break;
    case StatementKind::kFor:
      return for_loop(statement, scope);
    case StatementKind::kSet:
      assign(statement.target, eval(*statement.value, scope), scope);
      break;
    case StatementKind::kSetBlock: {
      Value text = capture(statement.body, new_scope(&scope));
      if (statement.value) text = eval_filters(*statement.value, scope, &text);
      assign(statement.target, text, scope);
      break;
    }
    case StatementKind::kMacro: {
      Function function;
      function.type = Function::Type::kMacro;
      function.name = statement.name;
      function.macro = &statement;
      function.closure = &scope;
      set(heap_, scope, statement.name, heap_.function(std::move(function)));
      break;
    }
    case StatementKind::kCallBlock: {
      Function function;
      function.type = Function::Type::kMacro;
      function.name = statement.name;
      function.macro = &statement;
      function.closure = &scope;
      const Value caller = heap_.function(std::move(function));
      const Value callee = eval(*statement.value->items[0], scope);
      output(call(callee, arguments(*statement.value, scope), &caller));
      break;
    }
    case StatementKind::kFilterBlock: {
      const Value text = capture(statement.body, new_scope(&scope));
      output(eval_filters(*statement.value, scope, &text));
      break;
    }
    case StatementKind::kWith: {
      Scope& inner = new_scope(&scope);
      std::vector<Value> values;
      for (const ExprPtr& value : statement.defaults) values.push_back(eval(*value, scope));
      for (std::size_t i = 0; i < values.size(); ++i)
        set(heap_, inner, statement.parameters[i], values[i]);
      return execute(statement.body, inner);
    }
    case StatementKind::kGeneration: {
      const Value text = capture(statement.body, new_scope(&scope));
      const std::size_t begin = main_->size();
      generation_.emplace_back(begin, begin + text.string->bytes.size());
      output(text);
      break;
    }
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

bool Loop::reach(std::size_t n) {
  Heap& heap = evaluator->heap_;
  while (taken.size() <= n && next < source.size()) {
    const Value value = source[next++];
    if (statement->test) {
      Scope& turn = evaluator->new_scope(scope);
      evaluator->assign(statement->target, value, turn);
      if (!truthy(evaluator->eval(*statement->test, turn))) continue;
    }
    heap.reserve(sizeof(Value));
    taken.push_back(value);
  }
  return taken.size() > n;
}

Value Loop::attribute(const std::string& name) {
  const auto at = static_cast<std::int64_t>(index);
  const auto total = [this] {
    reach(source.size());
    return std::ssize(taken);
  };
  if (name == "index") return integer(at + 1);
  if (name == "index0") return integer(at);
  if (name == "first") return boolean(index == 0);
  if (name == "last") return boolean(!reach(index + 1));
  if (name == "length") return integer(total());
  if (name == "revindex") return integer(total() - at);
  if (name == "revindex0") return integer(total() - at - 1);
  if (name == "previtem") return index > 0 ? taken[index - 1] : undefined("loop.previtem");
  if (name == "nextitem") return reach(index + 1) ? taken[index + 1] : undefined("loop.nextitem");
  if (name == "depth") return integer(1);
  if (name == "depth0") return integer(0);
  if (name == "cycle" || name == "changed") {
    Function function;
    function.type = Function::Type::kMethod;
    function.name = name;
    function.self.kind = Kind::kLoop;
    function.self.loop = this;
    return evaluator->heap_.function(std::move(function));
  }
  return undefined();
}

Evaluator::Flow Evaluator::for_loop(const Statement& statement, Scope& scope) {
  const Value iterable = eval(*statement.value, scope);
  std::vector<Value> source = iterate(heap_, iterable);
  heap_.reserve(sizeof(Loop) + source.size() * sizeof(Value));
  loops_.push_back({});
  Loop& loop = loops_.back();
  loop.evaluator = this;
  loop.statement = &statement;
  loop.scope = &scope;
  loop.source = std::move(source);
  Value loop_value;
  loop_value.kind = Kind::kLoop;
  loop_value.loop = &loop;
  for (; loop.reach(loop.index); ++loop.index) {
    Scope& turn = new_scope(&scope);
    set(heap_, turn, "loop", loop_value);
    assign(statement.target, loop.taken[loop.index], turn);
    if (execute(statement.body, turn) == Flow::kBreak) break;
  }
  // As Python's for: `else` when there was nothing to loop over.
  if (loop.taken.empty()) return execute(statement.otherwise, new_scope(&scope));
  return Flow::kNext;
}

void Evaluator::assign(const Target& target, const Value& value, Scope& scope) {
  if (!target.parts.empty()) {
    const std::vector<Value> values = iterate(heap_, value);
    if (values.size() != target.parts.size())
      throw EvalError(fmt::format("{} values for {} names", values.size(), target.parts.size()));
    for (std::size_t i = 0; i < values.size(); ++i) assign(target.parts[i], values[i], scope);
    return;
  }
  if (target.attribute.empty()) {
    set(heap_, scope, target.name, value);
    return;
  }
  const Value space = look_up(target.name, scope);
  if (!space.is(Kind::kNamespace))
    throw EvalError(
        fmt::format("\"{}\" is not a namespace: its attributes cannot be set", target.name));
  if (target.attribute.starts_with('_'))
    throw EvalError("an attribute of a namespace begins with _");
  jinja::assign(heap_, *space.dict, heap_.string(target.attribute), value);
}

}  // namespace nativo::text::jinja
