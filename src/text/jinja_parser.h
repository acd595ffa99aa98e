// A template as a tree: Jinja's grammar as chat templates use it. Not here: meaning
// (jinja_interpreter.h); names of filters and tests are looked up when they run.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja_lexer.h"
#include "text/jinja_value.h"

namespace nativo::text::jinja {

enum class ExprKind : std::uint8_t {
  kString,
  kInteger,
  kFloat,
  kBool,
  kNone,
  kName,
  kAttribute,  ///< items[0].name
  kItem,       ///< items[0][items[1]]
  kSlice,      ///< items[0][items[1]:items[2]:items[3]], null when left out
  kCall,       ///< items[0](rest, named)
  kFilter,     ///< items[0]|name(rest, named); items[0] null in {% filter %} and {% set %} blocks
  kTest,       ///< items[0] is name(rest, named)
  kList,
  kTuple,
  kDict,  ///< key, value, key, value, ...
  kNot,
  kNegative,
  kPositive,
  kBinary,  ///< name is the operator
  kConcat,
  kAnd,
  kOr,
  kCompare,      ///< items[0] ops[0] items[1] ops[1] items[2] ...
  kConditional,  ///< items[0] if items[1] else items[2] (may be null)
};

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Expr {
  ExprKind kind = ExprKind::kNone;
  Position at;
  std::string name;
  String text;  ///< kString
  std::int64_t integer = 0;
  double number = 0.0;
  std::vector<ExprPtr> items;
  std::vector<std::pair<std::string, ExprPtr>> named;
  std::vector<std::string> ops;
  int depth = 1;  ///< levels of expressions below and with this one
};

enum class StatementKind : std::uint8_t {
  kData,         ///< text
  kOutput,       ///< value
  kIf,           ///< branches
  kFor,          ///< for target in value if test: body, otherwise
  kSet,          ///< target = value
  kSetBlock,     ///< target = body, through value (a chain of filters) if there is one
  kMacro,        ///< name(parameters): body
  kCallBlock,    ///< value is the call; parameters, body
  kFilterBlock,  ///< value: filters of body
  kWith,         ///< parameters = defaults: body
  kGeneration,   ///< body is the assistant's
  kBreak,
  kContinue,
};

struct Statement;
using Body = std::vector<std::unique_ptr<Statement>>;

/// What is assigned to: a name, name.attribute of a namespace, or several of them.
struct Target {
  std::string name;
  std::string attribute;
  std::vector<Target> parts;
  bool is_tuple = false;
};

struct Branch {
  ExprPtr test;  ///< null: else
  Body body;
};

struct Statement {
  StatementKind kind = StatementKind::kData;
  Position at;
  String text;
  std::string name;
  ExprPtr value;
  ExprPtr test;
  Target target;
  std::vector<Branch> branches;
  Body body;
  Body otherwise;
  std::vector<std::string> parameters;
  std::vector<ExprPtr> defaults;  ///< of the last parameters
  bool takes_extra = false;       ///< kMacro: its body names varargs, kwargs
};

/// Throws Error(kData) as tokenize does; nesting beyond 100 statements or 200 expressions is an
/// error too.
[[nodiscard]] Body parse(std::string_view source, std::string_view name);

}  // namespace nativo::text::jinja
