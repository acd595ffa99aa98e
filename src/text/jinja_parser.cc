#include "text/jinja_parser.h"

#include <fmt/format.h>

#include <array>

#include "text/jinja_expressions.h"

namespace nativo::text::jinja {
namespace {

constexpr int kMaxStatements = 100;

class Parser : public ExpressionParser {
 public:
  Parser(std::string_view source, std::string_view name)
      : ExpressionParser(tokenize(source, name), name) {
    for (const Token& token : tokens_)
      extra_ = extra_ || (token.kind == TokenKind::kName &&
                          (token.text == "varargs" || token.text == "kwargs"));
  }

  Body run() {
    Body body = statements({});
    if (current().kind != TokenKind::kEnd) fail_unexpected("text or a tag");
    return body;
  }

 private:
  using Ends = std::initializer_list<std::string_view>;

  /// Statements until a tag that begins with one of `ends`, which is then current.
  Body statements(Ends ends) {
    if (++depth_ > kMaxStatements) fail("statements are nested too deeply");
    Body body;
    while (current().kind != TokenKind::kEnd) {
      const Token token = take();
      if (token.kind == TokenKind::kData) {
        body.push_back(make_statement(StatementKind::kData, token.at));
        body.back()->text.bytes = token.text;
      } else if (token.kind == TokenKind::kVariableBegin) {
        body.push_back(make_statement(StatementKind::kOutput, token.at));
        body.back()->value = tuple();
        expect_end(TokenKind::kVariableEnd);
      } else {
        for (const std::string_view end : ends)
          if (is_name(end)) {
            --depth_;
            return body;
          }
        body.push_back(statement());
        expect_end(TokenKind::kBlockEnd);
      }
    }
    if (ends.size() > 0)
      fail(fmt::format("the template ends without {{% {} %}}", *(ends.end() - 1)));
    --depth_;
    return body;
  }

  /// The body of a tag up to its end tag, whose name is consumed.
  Body block(std::string_view end) {
    open_block();
    Body body = statements({end});
    take();
    return body;
  }

  void open_block() {
    skip_op(":");
    expect_end(TokenKind::kBlockEnd);
  }

  void expect_end(TokenKind kind) {
    if (current().kind != kind) fail_unexpected("the end of the tag");
    take();
  }

  static std::unique_ptr<Statement> make_statement(StatementKind kind, Position at) {
    auto statement = std::make_unique<Statement>();
    statement->kind = kind;
    statement->at = at;
    return statement;
  }

  std::unique_ptr<Statement> statement() {
    if (current().kind != TokenKind::kName) fail_unexpected("the name of a tag");
    const Position at = current().at;
    const std::string tag = current().text;
    take();
    if (tag == "if") return if_statement(at);
    if (tag == "for") return for_statement(at);
    if (tag == "set") return set_statement(at);
    if (tag == "macro") return macro(at);
    if (tag == "call") return call_block(at);
    if (tag == "with") return with(at);
    if (tag == "filter") {
      auto node = make_statement(StatementKind::kFilterBlock, at);
      node->value = filters(nullptr, true);
      node->body = block("endfilter");
      return node;
    }
    if (tag == "generation") {
      auto node = make_statement(StatementKind::kGeneration, at);
      const int loops = std::exchange(loops_, 0);
      node->body = block("endgeneration");
      loops_ = loops;
      return node;
    }
    if (tag == "break" || tag == "continue") {
      if (loops_ == 0) fail_at(name_, at, fmt::format("{{% {} %}} outside of a loop", tag));
      return make_statement(tag == "break" ? StatementKind::kBreak : StatementKind::kContinue, at);
    }
    static constexpr std::array<std::string_view, 8> kRefused = {
        "block", "extends", "include", "import", "from", "autoescape", "print", "do"};
    for (const std::string_view name : kRefused)
      if (tag == name) fail_at(name_, at, fmt::format("{{% {} %}} is not supported", tag));
    fail_at(name_, at, fmt::format("unknown tag \"{}\"", tag));
  }

  std::unique_ptr<Statement> if_statement(Position at) {
    auto node = make_statement(StatementKind::kIf, at);
    while (true) {
      Branch branch;
      branch.test = tuple(false);
      open_block();
      branch.body = statements({"elif", "else", "endif"});
      node->branches.push_back(std::move(branch));
      if (skip_name("elif")) continue;
      const bool otherwise = is_name("else");
      take();
      if (otherwise) node->branches.push_back({nullptr, block("endif")});
      return node;
    }
  }

  std::unique_ptr<Statement> for_statement(Position at) {
    auto node = make_statement(StatementKind::kFor, at);
    node->target = target(false);
    if (!skip_name("in")) fail_unexpected("in");
    node->value = tuple(false);
    if (skip_name("if")) node->test = expression();
    if (is_name("recursive")) fail("recursive loops are not supported");
    open_block();
    ++loops_;
    node->body = statements({"else", "endfor"});
    --loops_;
    if (take().text == "else") node->otherwise = block("endfor");
    return node;
  }

  /// One or more names; with_namespace: also name.attribute.
  Target target(bool with_namespace) {
    Target all;
    all.is_tuple = false;
    bool in_parentheses = skip_op("(");
    while (true) {
      if (is_op(")") || is_name("in") || is_op("=") || current().kind == TokenKind::kBlockEnd)
        break;
      Target one;
      if (is_op("(")) {
        if (++nesting_ > kMaxStatements) fail("targets are nested too deeply");
        one = target(with_namespace);
        --nesting_;
      } else {
        one.name = expect_name();
        for (const std::string_view word : {"true", "false", "none", "True", "False", "None"})
          if (one.name == word) fail(fmt::format("cannot assign to {}", word));
        if (with_namespace && skip_op(".")) one.attribute = expect_name();
      }
      all.parts.push_back(std::move(one));
      if (!skip_op(",")) break;
      all.is_tuple = true;
    }
    if (in_parentheses) expect_op(")");
    if (all.parts.empty()) fail_unexpected("a name");
    if (!all.is_tuple) return Target(std::move(all.parts[0]));
    return all;
  }

  std::unique_ptr<Statement> set_statement(Position at) {
    auto node = make_statement(StatementKind::kSet, at);
    node->target = target(true);
    if (skip_op("=")) {
      node->value = tuple();
      return node;
    }
    node->kind = StatementKind::kSetBlock;
    node->value = filters(nullptr);
    const int loops = std::exchange(loops_, 0);
    node->body = block("endset");
    loops_ = loops;
    return node;
  }

  void signature(Statement& node) {
    expect_op("(");
    while (!is_op(")")) {
      if (!node.parameters.empty()) expect_op(",");
      node.parameters.push_back(expect_name());
      if (skip_op("=")) {
        node.defaults.push_back(expression());
      } else if (!node.defaults.empty()) {
        fail("a parameter without a default after one with a default");
      }
    }
    take();
  }

  std::unique_ptr<Statement> macro(Position at) {
    auto node = make_statement(StatementKind::kMacro, at);
    node->name = expect_name();
    signature(*node);
    node->takes_extra = extra_;
    const int loops = std::exchange(loops_, 0);
    node->body = block("endmacro");
    loops_ = loops;
    return node;
  }

  std::unique_ptr<Statement> call_block(Position at) {
    auto node = make_statement(StatementKind::kCallBlock, at);
    node->name = "caller";
    if (is_op("(")) signature(*node);
    node->value = expression();
    if (node->value->kind != ExprKind::kCall) fail("{% call %} needs a call");
    const int loops = std::exchange(loops_, 0);
    node->body = block("endcall");
    loops_ = loops;
    return node;
  }

  std::unique_ptr<Statement> with(Position at) {
    auto node = make_statement(StatementKind::kWith, at);
    while (current().kind != TokenKind::kBlockEnd) {
      if (!node->parameters.empty()) expect_op(",");
      node->parameters.push_back(expect_name());
      expect_op("=");
      node->defaults.push_back(expression());
    }
    node->body = block("endwith");
    return node;
  }

  int depth_ = 0;
  int loops_ = 0;
  bool extra_ = false;
};

}  // namespace

Body parse(std::string_view source, std::string_view name) { return Parser(source, name).run(); }

}  // namespace nativo::text::jinja
