// The expressions of a template: from tokens to trees. Used by jinja_parser.cc alone.
#pragma once

#include <string_view>
#include <vector>

#include "text/jinja_parser.h"

namespace nativo::text::jinja {

/// Reads tokens one after the other; each function consumes what it returns.
class ExpressionParser {
 public:
  ExpressionParser(std::vector<Token> tokens, std::string_view name)
      : tokens_(std::move(tokens)), name_(name) {}

 protected:
  /// a, b: a tuple when there is a comma, as {{ }}, `set`, `for` and `if` read it.
  ExprPtr tuple(bool with_condition = true, bool in_parentheses = false);
  ExprPtr expression(bool with_condition = true);
  ExprPtr primary();
  ExprPtr postfix(ExprPtr left);
  /// |a|b(c): `left` may be null; stops where no further filter stands.
  ExprPtr filters(ExprPtr left, bool first_without_bar = false);

  [[nodiscard]] const Token& current() const { return tokens_[at_]; }
  [[nodiscard]] const Token& ahead() const {
    return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_];
  }
  Token take();
  [[nodiscard]] bool is_op(std::string_view text) const {
    return current().kind == TokenKind::kOperator && current().text == text;
  }
  [[nodiscard]] bool is_name(std::string_view text) const {
    return current().kind == TokenKind::kName && current().text == text;
  }
  bool skip_op(std::string_view text);
  bool skip_name(std::string_view text);
  void expect_op(std::string_view text);
  std::string expect_name();
  [[noreturn]] void fail(std::string_view message) const { fail_at(name_, current().at, message); }
  [[noreturn]] void fail_unexpected(std::string_view wanted) const;
  ExprPtr make(ExprKind kind, Position at) const;
  /// Adds a child, and refuses trees that are too deep to walk.
  void add(Expr& parent, ExprPtr child) const;

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::string_view name_;
  int nesting_ = 0;

 private:
  ExprPtr binary(int level);
  ExprPtr or_expression();
  ExprPtr and_expression();
  ExprPtr not_expression();
  ExprPtr comparison();
  ExprPtr concat();
  ExprPtr unary(bool with_filters = true);
  ExprPtr filters_and_tests(ExprPtr left);
  ExprPtr test(ExprPtr left);
  ExprPtr subscript(ExprPtr left);
  ExprPtr call(ExprPtr left);
  void arguments(Expr& call);
  [[nodiscard]] bool tuple_ends() const;
};

}  // namespace nativo::text::jinja
