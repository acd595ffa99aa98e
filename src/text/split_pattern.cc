// SplitPattern's compiler: pattern text -> tree -> program.
#include "text/split_pattern.h"

#include <fmt/format.h>
#include <unicode/uniset.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::text {
namespace {

using icu::UnicodeSet;
using Op = SplitPattern::Op;
using Instruction = SplitPattern::Instruction;

constexpr std::size_t kMaxPatternBytes = 16384;
constexpr std::size_t kMaxInstructions = 20000;
constexpr int kMaxDepth = 32;
constexpr std::uint32_t kMaxRepeat = 1000;
constexpr std::size_t kMaxClasses = 32;

UnicodeSet set_of(const char* expression) {
  UErrorCode status = U_ZERO_ERROR;
  UnicodeSet set(icu::UnicodeString::fromUTF8(expression), status);
  NATIVO_CHECK(U_SUCCESS(status), expression);
  return set;
}

struct Node {
  enum class Kind : std::uint8_t { kClass, kSequence, kAlternatives, kRepeat, kLook, kBehind, kAt };
  Kind kind = Kind::kSequence;
  std::vector<Node> children = {};
  std::uint32_t mask = 0;
  std::uint32_t min = 0;
  std::uint32_t max = 0;
  bool flag = false;  ///< kRepeat: possessive; kLook, kBehind: negative
  Op at = Op::kMatch;
};

bool may_be_empty(const Node& node) {
  const auto child = [](const Node& c) { return may_be_empty(c); };
  switch (node.kind) {
    case Node::Kind::kClass:
      return false;
    case Node::Kind::kSequence:
      return std::ranges::all_of(node.children, child);
    case Node::Kind::kAlternatives:
      return std::ranges::any_of(node.children, child);
    case Node::Kind::kRepeat:
      return node.min == 0 || may_be_empty(node.children[0]);
    default:
      return true;
  }
}

// Depth of its recursion is bounded by kMaxDepth, whatever the pattern holds.
class Parser {
 public:
  explicit Parser(std::string_view pattern) : pattern_(pattern) {
    if (pattern.size() > kMaxPatternBytes) fail("is longer than 16 KiB");
    if (!is_valid_utf8(pattern)) fail("is not UTF-8");
  }

  Node parse() {
    const bool ignore_case = take("(?i)");
    Node node = alternatives(0, ignore_case);
    if (position_ != pattern_.size()) fail("has a ) without a (");
    return node;
  }

  [[nodiscard]] const std::vector<UnicodeSet>& classes() const { return classes_; }

  [[noreturn]] void fail(std::string_view what) const {
    throw Error(ExitCode::kData,
                fmt::format("the pattern \"{}\" {} (at its byte {})",
                            printable(pattern_.substr(0, 200)), what, position_),
                "this part of the pattern language is not supported");
  }

 private:
  [[nodiscard]] bool more() const { return position_ < pattern_.size(); }
  [[nodiscard]] bool at(std::string_view token) const {
    return pattern_.substr(position_).starts_with(token);
  }
  bool take(std::string_view token) {
    if (!at(token)) return false;
    position_ += token.size();
    return true;
  }
  char32_t next() {
    if (!more()) fail("ends too early");
    return decode_utf8(pattern_, position_);
  }

  Node alternatives(int depth, bool ignore_case) {
    if (depth > kMaxDepth) fail("nests too deep");
    Node all{.kind = Node::Kind::kAlternatives};
    do {
      all.children.push_back(sequence(depth, ignore_case));
    } while (take("|"));
    if (all.children.size() > 1) return all;
    return std::move(all.children[0]);
  }

  Node sequence(int depth, bool ignore_case) {
    Node whole{.kind = Node::Kind::kSequence};
    while (more() && !at("|") && !at(")")) {
      whole.children.push_back(repeated(atom(depth, ignore_case)));
    }
    return whole;
  }

  Node atom(int depth, bool ignore_case) {
    if (take("(")) return group(depth, ignore_case);
    if (at("*") || at("+") || at("?")) fail("repeats nothing");
    if (take("^")) return {.kind = Node::Kind::kAt, .at = Op::kLineStart};
    if (take("$")) return {.kind = Node::Kind::kAt, .at = Op::kLineEnd};
    if (take("\\A")) return {.kind = Node::Kind::kAt, .at = Op::kTextStart};
    if (take("\\z")) return {.kind = Node::Kind::kAt, .at = Op::kTextEnd};
    if (take(".")) return class_node(set_of("[^\\n]"), false);
    if (take("[")) return class_node(bracket(depth + 1), ignore_case);
    if (take("\\")) return class_node(escape(), ignore_case);
    const char32_t c = next();
    return class_node(UnicodeSet(static_cast<UChar32>(c), static_cast<UChar32>(c)), ignore_case);
  }

  Node group(int depth, bool ignore_case) {
    Node node;
    if (take("?<=") || at("?<!")) {
      const bool negative = take("?<!");
      node = alternatives(depth + 1, ignore_case);
      if (node.kind == Node::Kind::kSequence && node.children.size() == 1) {
        node = Node(node.children[0]);
      }
      if (node.kind != Node::Kind::kClass) fail("looks behind at more than one character");
      node.kind = Node::Kind::kBehind;
      node.flag = negative;
    } else if (take("?=") || at("?!")) {
      const bool negative = take("?!");
      node = {.kind = Node::Kind::kLook, .flag = negative};
      node.children.push_back(alternatives(depth + 1, ignore_case));
    } else {
      if (take("?i:")) {
        ignore_case = true;
      } else if (take("?-i:")) {
        ignore_case = false;
      } else if (!take("?:") && at("?")) {
        fail("has a group of an unknown kind");
      }
      node = alternatives(depth + 1, ignore_case);
    }
    if (!take(")")) fail("has a ( without a )");
    return node;
  }

  std::optional<std::uint32_t> number() {
    std::optional<std::uint32_t> value;
    while (more() && pattern_[position_] >= '0' && pattern_[position_] <= '9') {
      value = value.value_or(0) * 10 + static_cast<std::uint32_t>(pattern_[position_++] - '0');
      if (*value > kMaxRepeat) fail("repeats more than 1000 times");
    }
    return value;
  }

  Node repeated(Node node) {
    std::uint32_t min = 0;
    std::uint32_t max = SplitPattern::kUnlimited;
    bool braces = false;
    if (take("?")) {
      max = 1;
    } else if (take("+")) {
      min = 1;
    } else if (take("{")) {
      braces = true;
      const auto first = number();
      min = first.value_or(0);
      if (take(",")) {
        const auto last = number();
        if (!first && !last) fail("has a { that is no repetition");
        if (last) max = *last;
      } else {
        if (!first) fail("has a { that is no repetition");
        max = min;
      }
      if (!take("}")) fail("has a { that is no repetition");
      if (max < min) fail("repeats from more to less");
    } else if (!take("*")) {
      return node;
    }
    if (at("?")) fail("has a lazy repetition");
    if (braces && at("+")) fail("repeats a repetition");
    Node repeat{.kind = Node::Kind::kRepeat, .min = min, .max = max};
    repeat.flag = take("+");
    if (at("*") || at("+") || at("?") || at("{")) fail("repeats a repetition");
    if (max == SplitPattern::kUnlimited && may_be_empty(node)) {
      fail("repeats for ever what may be empty");
    }
    repeat.children.push_back(std::move(node));
    return repeat;
  }

  Node class_node(UnicodeSet set, bool ignore_case) {
    if (ignore_case) {
      set.closeOver(USET_CASE_INSENSITIVE);
      set.removeAllStrings();
    }
    const auto found = std::ranges::find(classes_, set);
    const auto index = static_cast<std::size_t>(found - classes_.begin());
    if (found == classes_.end()) {
      if (classes_.size() == kMaxClasses) fail("has more than 32 different classes");
      classes_.push_back(set);
    }
    return {.kind = Node::Kind::kClass, .mask = 1U << index};
  }

  // After "[": up to and with its "]".
  UnicodeSet bracket(int depth) {
    if (depth > kMaxDepth) fail("nests too deep");
    const bool negative = take("^");
    UnicodeSet set;
    std::optional<UnicodeSet> intersection;
    bool first = true;
    while (first || !take("]")) {
      if (!more()) fail("has a [ without a ]");
      if (take("&&")) {
        intersection = intersection ? intersection->retainAll(set) : set;
        set.clear();
      } else if (at("[:")) {
        fail("has a POSIX class");
      } else if (take("[")) {
        set.addAll(bracket(depth + 1));
      } else {
        add_range(set);
      }
      first = false;
    }
    if (intersection) set.retainAll(*intersection);
    if (negative) set.complement();
    return set;
  }

  void add_range(UnicodeSet& set) {
    const UnicodeSet from = element();
    const bool single = from.size() == 1;
    if (!single || !at("-") || at("-]")) {
      set.addAll(from);
      return;
    }
    position_ += 1;
    if (at("[")) fail("has a range that ends in a class");
    const UnicodeSet to = element();
    if (to.size() != 1 || to.charAt(0) < from.charAt(0)) fail("has a range that cannot be");
    set.add(from.charAt(0), to.charAt(0));
  }

  UnicodeSet element() {
    if (take("\\")) return escape();
    const auto c = static_cast<UChar32>(next());
    return {c, c};
  }

  char32_t hex(std::size_t digits) {
    char32_t value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      const char32_t c = next();
      const bool digit = c >= '0' && c <= '9';
      const char32_t lower = c | 0x20;
      if (!digit && !(lower >= 'a' && lower <= 'f')) fail("has an escape with a bad digit");
      value = value * 16 + (digit ? c - '0' : lower - 'a' + 10);
    }
    return value;
  }

  // After "\".
  UnicodeSet escape() {
    const char32_t c = next();
    switch (c) {
      case 's':
        return set_of("[:White_Space:]");
      case 'S':
        return set_of("[:^White_Space:]");
      case 'd':
        return set_of("[:Nd:]");
      case 'D':
        return set_of("[:^Nd:]");
      // Oniguruma counts the fractions and superscripts of Latin-1 among the letters of words.
      case 'w':
        return set_of("[[:Alphabetic:][:M:][:Nd:][:Pc:]\\u00B2\\u00B3\\u00B9\\u00BC-\\u00BE]");
      case 'W':
        return set_of("[^[:Alphabetic:][:M:][:Nd:][:Pc:]\\u00B2\\u00B3\\u00B9\\u00BC-\\u00BE]");
      case 'h':
        return set_of("[0-9A-Fa-f]");
      case 'p':
      case 'P':
        return property(c == 'P');
      default:
        break;
    }
    char32_t literal = c;
    if (c == 'n') {
      literal = '\n';
    } else if (c == 'r') {
      literal = '\r';
    } else if (c == 't') {
      literal = '\t';
    } else if (c == 'f') {
      literal = '\f';
    } else if (c == 'v') {
      literal = '\v';
    } else if (c == 'u') {
      literal = hex(4);
    } else if (c == 'x') {
      if (take("{")) {
        const std::size_t end = pattern_.find('}', position_);
        if (end == std::string_view::npos || end - position_ > 6 || end == position_) {
          fail("has an escape that cannot be");
        }
        literal = hex(end - position_);
        position_ += 1;
      } else {
        literal = hex(2);
        if (literal > 0x7F) fail("names a byte that is no character");
      }
    } else if (c < 0x80 && (is(c, Letters::kWord) && c != '_')) {
      fail("has an unknown escape");
    }
    if (literal > 0x10FFFF || (literal >= 0xD800 && literal <= 0xDFFF)) {
      fail("has an escape that cannot be");
    }
    return {static_cast<UChar32>(literal), static_cast<UChar32>(literal)};
  }

  UnicodeSet property(bool negative) {
    std::string name;
    if (!take("{")) fail("has a property without braces");
    if (take("^")) negative = !negative;
    while (!take("}")) {
      const char32_t c = next();
      if (c >= 0x80 || !is(c, Letters::kWord)) fail("has a property of an unknown name");
      name += static_cast<char>(c);
    }
    std::string lower = name;
    std::ranges::transform(lower, lower.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    });
    // The two libraries mean different things by POSIX names.
    for (const char* posix :
         {"alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
          "upper", "xdigit", "word", "ascii", "any"}) {
      if (lower == posix) fail("has a property of an unknown name");
    }
    UErrorCode status = U_ZERO_ERROR;
    UnicodeSet set(
        icu::UnicodeString::fromUTF8(fmt::format("\\{}{{{}}}", negative ? 'P' : 'p', name)),
        status);
    if (U_FAILURE(status)) fail("has a property of an unknown name");
    return set;
  }

  std::string_view pattern_;
  std::size_t position_ = 0;
  std::vector<UnicodeSet> classes_;
};

class Compiler {
 public:
  Compiler(const Parser& parser, std::vector<Instruction>& program)
      : parser_(parser), program_(program) {}

  void emit(const Node& node) {
    switch (node.kind) {
      case Node::Kind::kClass:
        add({.op = Op::kClass, .mask = node.mask});
        break;
      case Node::Kind::kSequence:
        for (const Node& child : node.children) emit(child);
        break;
      case Node::Kind::kAlternatives:
        emit_alternatives(node);
        break;
      case Node::Kind::kRepeat:
        emit_repeat(node);
        break;
      case Node::Kind::kLook:
        emit_enclosed(Op::kLook, node.flag, [&] { emit(node.children[0]); });
        break;
      case Node::Kind::kBehind:
        add({.op = Op::kLookBehind, .flag = node.flag, .mask = node.mask});
        break;
      case Node::Kind::kAt:
        add({.op = node.at});
        break;
    }
  }

  std::uint32_t add(const Instruction& instruction) {
    if (program_.size() == kMaxInstructions) parser_.fail("is too large");
    program_.push_back(instruction);
    return static_cast<std::uint32_t>(program_.size() - 1);
  }

 private:
  [[nodiscard]] std::uint32_t here() const { return static_cast<std::uint32_t>(program_.size()); }

  void emit_alternatives(const Node& node) {
    std::vector<std::uint32_t> jumps;
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      const bool last = i + 1 == node.children.size();
      const std::uint32_t split = last ? 0 : add({.op = Op::kSplit, .next = here() + 1});
      emit(node.children[i]);
      if (last) break;
      jumps.push_back(add({.op = Op::kJump}));
      program_[split].other = here();
    }
    for (const std::uint32_t jump : jumps) program_[jump].next = here();
  }

  template <class Body>
  void emit_enclosed(Op op, bool flag, const Body& body) {
    const std::uint32_t start = add({.op = op, .flag = flag});
    body();
    add({.op = Op::kMatch});
    program_[start].next = here();
  }

  void emit_repeat(const Node& node) {
    const Node& child = node.children[0];
    if (child.kind == Node::Kind::kClass) {
      add({.op = Op::kClassLoop,
           .flag = node.flag,
           .mask = child.mask,
           .min = node.min,
           .max = node.max});
    } else if (node.flag) {
      emit_enclosed(Op::kAtomic, false, [&] { emit_greedy(node); });
    } else {
      emit_greedy(node);
    }
  }

  void emit_greedy(const Node& node) {
    const Node& child = node.children[0];
    for (std::uint32_t i = 0; i < node.min; ++i) emit(child);
    if (node.max == SplitPattern::kUnlimited) {
      const std::uint32_t split = add({.op = Op::kSplit, .next = here() + 1});
      emit(child);
      add({.op = Op::kJump, .next = split});
      program_[split].other = here();
      return;
    }
    std::vector<std::uint32_t> splits;
    for (std::uint32_t i = node.min; i < node.max; ++i) {
      splits.push_back(add({.op = Op::kSplit, .next = here() + 1}));
      emit(child);
    }
    for (const std::uint32_t split : splits) program_[split].other = here();
  }

  const Parser& parser_;
  std::vector<Instruction>& program_;
};

}  // namespace

SplitPattern::SplitPattern(std::string_view pattern) {
  Parser parser(pattern);
  const Node tree = parser.parse();
  Compiler compiler(parser, program_);
  compiler.emit(tree);
  compiler.add({.op = Op::kMatch});
  std::vector<CodePointRanges> ranges;
  for (const UnicodeSet& set : parser.classes()) {
    CodePointRanges& list = ranges.emplace_back();
    for (std::int32_t i = 0; i < set.getRangeCount(); ++i) {
      list.emplace_back(static_cast<char32_t>(set.getRangeStart(i)),
                        static_cast<char32_t>(set.getRangeEnd(i)));
    }
  }
  classes_.emplace(ranges);
}

}  // namespace nativo::text
