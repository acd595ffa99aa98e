// The state of one rendering. Used by jinja_interpreter.cc (statements) and jinja_evaluator.cc
// (expressions, calls) alone.
#pragma once

#include <ctime>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja_interpreter.h"
#include "text/jinja_parser.h"
#include "text/jinja_runtime.h"

namespace nativo::text::jinja {

/// Variables of a loop's turn, a macro's call, a block; looked up outwards.
struct Scope {
  Scope* parent = nullptr;
  std::vector<std::pair<std::string_view, Value>> variables;  ///< names live in the template
};

class Evaluator {
 public:
  Evaluator(const Limits& limits, const std::tm& now) : heap_(limits), now_(now) {}

  Heap& heap() { return heap_; }
  [[nodiscard]] Position position() const { return at_; }
  Rendered run(const Body& body, const Variables& variables);

 private:
  friend struct Loop;
  enum class Flow : std::uint8_t { kNext, kBreak, kContinue };

  // Statements (jinja_interpreter.cc).
  Flow execute(const Body& body, Scope& scope);
  Flow execute(const Statement& statement, Scope& scope);
  Flow for_loop(const Statement& statement, Scope& scope);
  void assign(const Target& target, const Value& value, Scope& scope);
  /// What `body` gives, as a string of its own.
  Value capture(const Body& body, Scope& scope);
  void output(const Value& value);
  Scope& new_scope(Scope* parent);
  static void set(Heap& heap, Scope& scope, std::string_view name, const Value& value);

  // Expressions (jinja_evaluator.cc).
  Value eval(const Expr& expr, Scope& scope);
  Value eval_or_none(const ExprPtr& expr, Scope& scope);
  Value eval_compare(const Expr& expr, Scope& scope);
  Value eval_filters(const Expr& expr, Scope& scope, const Value* input);
  Value eval_dict(const Expr& expr, Scope& scope);
  Value look_up(const std::string& name, const Scope& scope);
  Value attribute(const Value& value, const std::string& name);
  Value item(const Value& value, const Value& key);
  Arguments arguments(const Expr& call, Scope& scope);
  Value call(const Value& callee, const Arguments& arguments, const Value* caller = nullptr);
  Value call_macro(const Function& function, const Arguments& arguments, const Value* caller);
  Value call_global(const std::string& name, const Arguments& arguments);
  Value call_loop(Loop& loop, const std::string& name, const Arguments& arguments);

  Heap heap_;
  std::tm now_;
  Position at_;
  TextBuilder* out_ = nullptr;
  TextBuilder* main_ = nullptr;
  std::vector<std::pair<std::size_t, std::size_t>> generation_;
  std::deque<Scope> scopes_;
  std::deque<Loop> loops_;
};

/// A running loop, and the object `loop`. Items that `if` filters are tested one by one, as they
/// are reached or looked ahead at.
struct Loop {
  Evaluator* evaluator = nullptr;
  const Statement* statement = nullptr;
  Scope* scope = nullptr;
  std::vector<Value> source;
  std::size_t next = 0;      ///< of source
  std::vector<Value> taken;  ///< those that passed
  std::size_t index = 0;     ///< of the current one in taken
  std::vector<Value> changed;
  bool has_changed = false;

  /// True when taken[n] exists, testing as many items as that needs.
  bool reach(std::size_t n);
  Value attribute(const std::string& name);
};

}  // namespace nativo::text::jinja
