#include "text/jinja_expressions.h"

#include <fmt/format.h>

#include <algorithm>

namespace nativo::text::jinja {
namespace {

constexpr int kMaxDepth = 200;

/// Counts how deep the parser is while it lives.
struct Nested {
  int& depth;
  ~Nested() { --depth; }
};

}  // namespace

Token ExpressionParser::take() {
  Token token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool ExpressionParser::skip_op(std::string_view text) {
  if (!is_op(text)) return false;
  take();
  return true;
}

bool ExpressionParser::skip_name(std::string_view text) {
  if (!is_name(text)) return false;
  take();
  return true;
}

void ExpressionParser::fail_unexpected(std::string_view wanted) const {
  const Token& token = current();
  std::string found = token.text;
  if (token.kind == TokenKind::kEnd) found = "the end of the template";
  if (token.kind == TokenKind::kBlockEnd || token.kind == TokenKind::kVariableEnd)
    found = "the end of the tag";
  if (token.kind == TokenKind::kInteger || token.kind == TokenKind::kFloat) found = "a number";
  if (token.kind == TokenKind::kData) found = "text";
  fail(fmt::format("expected {}, found {}", wanted, found));
}

void ExpressionParser::expect_op(std::string_view text) {
  if (!skip_op(text)) fail_unexpected(fmt::format("\"{}\"", text));
}

std::string ExpressionParser::expect_name() {
  if (current().kind != TokenKind::kName) fail_unexpected("a name");
  return take().text;
}

ExprPtr ExpressionParser::make(ExprKind kind, Position at) const {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->at = at;
  return expr;
}

void ExpressionParser::add(Expr& parent, ExprPtr child) const {
  if (child) parent.depth = std::max(parent.depth, child->depth + 1);
  parent.items.push_back(std::move(child));
  if (parent.depth > kMaxDepth) fail("an expression is nested too deeply");
}

bool ExpressionParser::tuple_ends() const {
  return current().kind == TokenKind::kVariableEnd || current().kind == TokenKind::kBlockEnd ||
         current().kind == TokenKind::kEnd || is_op(")") || is_name("recursive");
}

ExprPtr ExpressionParser::tuple(bool with_condition, bool in_parentheses) {
  const Position at = current().at;
  std::vector<ExprPtr> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty()) expect_op(",");
    if (tuple_ends()) break;
    items.push_back(expression(with_condition));
    if (!is_op(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!items.empty()) return std::move(items[0]);
    if (!in_parentheses) fail_unexpected("an expression");
  }
  ExprPtr result = make(ExprKind::kTuple, at);
  for (ExprPtr& item : items) add(*result, std::move(item));
  return result;
}

ExprPtr ExpressionParser::expression(bool with_condition) {
  const Nested nested{nesting_};
  if (++nesting_ > kMaxDepth) fail("an expression is nested too deeply");
  ExprPtr left = or_expression();
  while (with_condition && is_name("if")) {
    ExprPtr result = make(ExprKind::kConditional, take().at);
    ExprPtr test = or_expression();
    ExprPtr otherwise = skip_name("else") ? expression() : nullptr;
    add(*result, std::move(left));
    add(*result, std::move(test));
    add(*result, std::move(otherwise));
    left = std::move(result);
  }
  return left;
}

ExprPtr ExpressionParser::or_expression() {
  ExprPtr left = and_expression();
  if (!is_name("or")) return left;
  ExprPtr result = make(ExprKind::kOr, current().at);
  add(*result, std::move(left));
  while (skip_name("or")) add(*result, and_expression());
  return result;
}

ExprPtr ExpressionParser::and_expression() {
  ExprPtr left = not_expression();
  if (!is_name("and")) return left;
  ExprPtr result = make(ExprKind::kAnd, current().at);
  add(*result, std::move(left));
  while (skip_name("and")) add(*result, not_expression());
  return result;
}

ExprPtr ExpressionParser::not_expression() {
  if (!is_name("not")) return comparison();
  const Nested nested{nesting_};
  if (++nesting_ > kMaxDepth) fail("an expression is nested too deeply");
  ExprPtr result = make(ExprKind::kNot, take().at);
  add(*result, not_expression());
  return result;
}

ExprPtr ExpressionParser::comparison() {
  ExprPtr left = binary(0);
  ExprPtr result;
  while (true) {
    std::string_view op;
    const Position at = current().at;
    for (const std::string_view known : {"==", "!=", "<", "<=", ">", ">="})
      if (is_op(known)) op = known;
    if (!op.empty()) {
      take();
    } else if (skip_name("in")) {
      op = "in";
    } else if (is_name("not") && ahead().kind == TokenKind::kName && ahead().text == "in") {
      take();
      take();
      op = "not in";
    } else {
      break;
    }
    if (!result) {
      result = make(ExprKind::kCompare, at);
      add(*result, std::move(left));
    }
    result->ops.emplace_back(op);
    add(*result, binary(0));
  }
  return result ? std::move(result) : std::move(left);
}

/// Level 0: + and -; 1: *, /, //, %; 2: **. Between the first two stands ~. All from the left.
ExprPtr ExpressionParser::binary(int level) {
  const auto operand = [&]() -> ExprPtr {
    return level == 0 ? concat() : level == 1 ? binary(2) : unary();
  };
  const auto is_mine = [&] {
    if (level == 0) return is_op("+") || is_op("-");
    if (level == 1) return is_op("*") || is_op("/") || is_op("//") || is_op("%");
    return is_op("**");
  };
  ExprPtr left = operand();
  while (is_mine()) {
    const Token op = take();
    ExprPtr result = make(ExprKind::kBinary, op.at);
    result->name = op.text;
    add(*result, std::move(left));
    add(*result, operand());
    left = std::move(result);
  }
  return left;
}

ExprPtr ExpressionParser::concat() {
  ExprPtr left = binary(1);
  if (!is_op("~")) return left;
  ExprPtr result = make(ExprKind::kConcat, current().at);
  add(*result, std::move(left));
  while (skip_op("~")) add(*result, binary(1));
  return result;
}

ExprPtr ExpressionParser::unary(bool with_filters) {
  const Nested nested{nesting_};
  if (++nesting_ > kMaxDepth) fail("an expression is nested too deeply");
  ExprPtr node;
  if (is_op("-") || is_op("+")) {
    const Token sign = take();
    node = make(sign.text == "-" ? ExprKind::kNegative : ExprKind::kPositive, sign.at);
    add(*node, unary(false));
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  return with_filters ? filters_and_tests(std::move(node)) : std::move(node);
}

ExprPtr ExpressionParser::primary() {
  const Token token = current();
  ExprPtr node;
  switch (token.kind) {
    case TokenKind::kName: {
      take();
      const std::string& name = token.text;
      if (name == "true" || name == "True" || name == "false" || name == "False") {
        node = make(ExprKind::kBool, token.at);
        node->integer = name == "true" || name == "True" ? 1 : 0;
      } else if (name == "none" || name == "None") {
        node = make(ExprKind::kNone, token.at);
      } else {
        node = make(ExprKind::kName, token.at);
        node->name = name;
      }
      return node;
    }
    case TokenKind::kString:
      node = make(ExprKind::kString, token.at);
      while (current().kind == TokenKind::kString) node->text.bytes += take().text;
      return node;
    case TokenKind::kInteger:
      take();
      node = make(ExprKind::kInteger, token.at);
      node->integer = token.integer;
      return node;
    case TokenKind::kFloat:
      take();
      node = make(ExprKind::kFloat, token.at);
      node->number = token.number;
      return node;
    default:
      break;
  }
  if (skip_op("(")) {
    node = tuple(true, true);
    expect_op(")");
  } else if (skip_op("[")) {
    node = make(ExprKind::kList, token.at);
    while (!is_op("]")) {
      if (!node->items.empty()) expect_op(",");
      if (is_op("]")) break;
      add(*node, expression());
    }
    take();
  } else if (skip_op("{")) {
    node = make(ExprKind::kDict, token.at);
    while (!is_op("}")) {
      if (!node->items.empty()) expect_op(",");
      if (is_op("}")) break;
      add(*node, expression());
      expect_op(":");
      add(*node, expression());
    }
    take();
  } else {
    fail_unexpected("an expression");
  }
  return node;
}

ExprPtr ExpressionParser::postfix(ExprPtr left) {
  while (true) {
    if (is_op(".") || is_op("[")) {
      left = subscript(std::move(left));
    } else if (is_op("(")) {
      left = call(std::move(left));
    } else {
      return left;
    }
  }
}

ExprPtr ExpressionParser::filters_and_tests(ExprPtr left) {
  while (true) {
    if (is_op("|")) {
      left = filters(std::move(left));
    } else if (is_name("is")) {
      left = test(std::move(left));
    } else if (is_op("(")) {
      left = call(std::move(left));
    } else {
      return left;
    }
  }
}

ExprPtr ExpressionParser::subscript(ExprPtr left) {
  const Token token = take();
  ExprPtr node = make(ExprKind::kItem, token.at);
  add(*node, std::move(left));
  if (token.text == ".") {
    if (current().kind == TokenKind::kInteger) {
      add(*node, primary());
    } else {
      node->kind = ExprKind::kAttribute;
      node->name = expect_name();
    }
    return node;
  }
  ExprPtr first = is_op(":") ? nullptr : expression();
  if (!is_op(":")) {
    if (is_op(",")) fail("several indices in [] are not supported");
    add(*node, std::move(first));
  } else {
    take();
    node->kind = ExprKind::kSlice;
    add(*node, std::move(first));
    add(*node, is_op(":") || is_op("]") ? nullptr : expression());
    add(*node, skip_op(":") && !is_op("]") ? expression() : nullptr);
  }
  expect_op("]");
  return node;
}

ExprPtr ExpressionParser::call(ExprPtr left) {
  ExprPtr node = make(ExprKind::kCall, current().at);
  add(*node, std::move(left));
  arguments(*node);
  return node;
}

void ExpressionParser::arguments(Expr& call) {
  expect_op("(");
  bool first = true;
  while (!is_op(")")) {
    if (!first) expect_op(",");
    if (is_op(")")) break;
    first = false;
    if (is_op("*") || is_op("**")) fail("* and ** in a call are not supported");
    const bool named = current().kind == TokenKind::kName && ahead().kind == TokenKind::kOperator &&
                       ahead().text == "=";
    if (named) {
      const std::string name = take().text;
      for (const auto& other : call.named)
        if (other.first == name) fail(fmt::format("the argument \"{}\" is given twice", name));
      take();
      ExprPtr value = expression();
      call.depth = std::max(call.depth, value->depth + 1);
      call.named.emplace_back(name, std::move(value));
    } else {
      if (!call.named.empty()) fail("an argument without a name after one with a name");
      add(call, expression());
    }
  }
  take();
}

ExprPtr ExpressionParser::filters(ExprPtr left, bool first_without_bar) {
  while (first_without_bar || skip_op("|")) {
    first_without_bar = false;
    ExprPtr node = make(ExprKind::kFilter, current().at);
    node->name = expect_name();
    while (skip_op(".")) (node->name += '.') += expect_name();
    add(*node, std::move(left));
    if (is_op("(")) arguments(*node);
    left = std::move(node);
  }
  return left;
}

ExprPtr ExpressionParser::test(ExprPtr left) {
  ExprPtr node = make(ExprKind::kTest, take().at);
  const bool negated = skip_name("not");
  node->name = expect_name();
  while (skip_op(".")) (node->name += '.') += expect_name();
  add(*node, std::move(left));
  const TokenKind kind = current().kind;
  const bool is_argument =
      kind == TokenKind::kString || kind == TokenKind::kInteger || kind == TokenKind::kFloat ||
      is_op("[") || is_op("{") ||
      (kind == TokenKind::kName && !is_name("else") && !is_name("or") && !is_name("and"));
  if (is_op("(")) {
    arguments(*node);
  } else if (is_argument) {
    if (is_name("is")) fail("tests cannot be chained with is");
    const Nested nested{nesting_};
    if (++nesting_ > kMaxDepth) fail("an expression is nested too deeply");
    add(*node, postfix(primary()));
  }
  if (!negated) return node;
  ExprPtr result = make(ExprKind::kNot, node->at);
  add(*result, std::move(node));
  return result;
}

}  // namespace nativo::text::jinja
