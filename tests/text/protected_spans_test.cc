#include "text/protected_spans.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/rng.h"

namespace nativo::text {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> found(std::string_view text) {
  std::vector<std::string> all;
  for (const Span& span : find_spans(text)) {
    all.push_back(std::string(span_kind_name(span.kind)) + ":" +
                  std::string(text.substr(span.begin, span.end - span.begin)));
  }
  return all;
}

TEST(FindSpans, Numbers) {
  EXPECT_THAT(found("She has 12 trays, 1,000 eggs and 37.5 °C at 10:30; 25% of 3/4."),
              ElementsAre("number:12", "number:1,000", "number:37.5", "number:10:30", "number:25%",
                          "number:3/4"));
  EXPECT_THAT(found("the 2nd and 21st"), ElementsAre("number:2", "number:21"));
  EXPECT_THAT(found("It was 5."), ElementsAre("number:5"));
}

TEST(FindSpans, NamesWithAnAtSign) {
  EXPECT_THAT(found("Use @property, @app.route or ask @bob_2. Meet me @ 5"),
              ElementsAre("identifier:@property", "identifier:@app.route", "identifier:@bob_2",
                          "number:5"));
}

TEST(FindSpans, PricesAreNotMath) {
  EXPECT_THAT(found("It costs $5 and then $10."), ElementsAre("number:5", "number:10"));
  EXPECT_THAT(found("between $20 and $30 or so"), ElementsAre("number:20", "number:30"));
}

TEST(FindSpans, Math) {
  EXPECT_THAT(found("What is $E = mc^2$ and $$F = ma$$?"),
              ElementsAre("math:$E = mc^2$", "math:$$F = ma$$"));
  EXPECT_THAT(found("so \\(v = s/t\\) and \\[x\\]"),
              ElementsAre("math:\\(v = s/t\\)", "math:\\[x\\]"));
  EXPECT_THAT(found("\\begin{align}a\nb\\end{align} end"),
              ElementsAre("math:\\begin{align}a\nb\\end{align}"));
  EXPECT_THAT(found("about $3 \\times 10^8$ metres"), ElementsAre("math:$3 \\times 10^8$"));
}

TEST(FindSpans, CodeWithFences) {
  EXPECT_THAT(found("See:\n```python\nx = 1\n```\nDone."),
              ElementsAre("fenced_code:```python\nx = 1\n```"));
  EXPECT_THAT(found("See:\n~~~\nx\n```\ny"), ElementsAre("fenced_code:~~~\nx\n```\ny"));
  EXPECT_THAT(found("Use `a b` or ``c`d``."),
              ElementsAre("inline_code:`a b`", "inline_code:``c`d``"));
  EXPECT_THAT(found("an open ` tick"), IsEmpty());
}

TEST(FindSpans, CodeWithoutFences) {
  const std::string code = "def f(x):\n    y = x + 1\n\n    return y";
  EXPECT_THAT(found("Here it is:\n" + code + "\nThat is all."), ElementsAre("code_lines:" + code));
  EXPECT_THAT(found("import the goods from France.\nFor example, we sell (cheap) wine."),
              IsEmpty());
}

TEST(FindSpans, AddressesAndNames) {
  EXPECT_THAT(found("See https://www.example.com/a_(b)?c=1. Or write to a.b@c-d.org!"),
              ElementsAre("url:https://www.example.com/a_(b)?c=1", "email:a.b@c-d.org"));
  EXPECT_THAT(found("edit /usr/bin/env and ./a.sh and notes.txt"),
              ElementsAre("path:/usr/bin/env", "path:./a.sh", "identifier:notes.txt"));
  EXPECT_THAT(found("call most_common(3) on my_list or sortedSet in H2O"),
              ElementsAre("identifier:most_common(3)", "identifier:my_list", "identifier:sortedSet",
                          "identifier:H2O"));
  EXPECT_THAT(found("e.g. the U.S. and/or file(s) end.Next"), IsEmpty());
}

TEST(FindSpans, PlaceholdersTagsAndLiterals) {
  EXPECT_THAT(found("Dear {name}, {{code}} is %s of %1$s, ${x}"),
              ElementsAre("placeholder:{name}", "placeholder:{{code}}", "placeholder:%s",
                          "placeholder:%1$s", "placeholder:${x}"));
  EXPECT_THAT(
      found("a <b>bold</b> word <<48/2=24>>24, 3 < 4"),
      ElementsAre("tag:<b>", "tag:</b>", "tag:<<48/2=24>>", "number:24", "number:3", "number:4"));
  EXPECT_THAT(found("given {\"a\": [1, 2]} and ['x', 'y'] or [see below]"),
              ElementsAre("literal:{\"a\": [1, 2]}", "literal:['x', 'y']"));
}

TEST(FindSpans, OrderedDisjointAndInside) {
  constexpr std::string_view kPool = "ab1 .,$`{}[]<>\\/\n~_%(=):;\"'#-*@hé";
  Rng rng(7);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    const std::size_t length = rng.below(60);
    for (std::size_t i = 0; i < length; ++i) text += kPool[rng.below(kPool.size())];
    std::size_t end = 0;
    for (const Span& span : find_spans(text)) {
      ASSERT_LE(end, span.begin) << text;
      ASSERT_LT(span.begin, span.end) << text;
      ASSERT_LE(span.end, text.size()) << text;
      end = span.end;
    }
    ASSERT_TRUE(verify_protected(text, text).ok()) << text;
  }
}

TEST(FindSpans, HostileInputStaysFast) {
  for (const std::string unit :
       {"{", "[", "`", "$", "<", "\\(", "\\begin{a}", "```\n", "1.", "%("}) {
    std::string text;
    while (text.size() < 200000) text += unit;
    EXPECT_TRUE(verify_protected(text, text).ok()) << unit;
  }
}

TEST(VerifyProtected, AcceptsNewOrderInProse) {
  const auto proof = verify_protected("Between `a` and 12 there is 5.", "C'è 5 tra 12 e `a`.");
  ASSERT_TRUE(proof.ok()) << proof.rejection().value;
  EXPECT_EQ(proof.value(), 3U);
}

TEST(VerifyProtected, NamesWhatWasLostAddedOrMoved) {
  const auto lost = verify_protected("I have 12 eggs and `x`.", "Ho 12 uova.");
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.rejection().rule, "protected_span_lost");
  EXPECT_EQ(lost.rejection().value, "`x`");

  const auto changed = verify_protected("It is 37.5 degrees.", "Sono 37,5 gradi.");
  ASSERT_FALSE(changed.ok());
  EXPECT_EQ(changed.rejection().rule, "protected_span_lost");
  EXPECT_EQ(changed.rejection().value, "37.5");

  const auto added = verify_protected("I have 12 eggs.", "Ho 12 uova, 12.");
  ASSERT_FALSE(added.ok());
  EXPECT_EQ(added.rejection().rule, "protected_span_added");

  const auto moved =
      verify_protected("```\na\n```\nand\n```\nb\n```", "```\nb\n```\ne\n```\na\n```");
  ASSERT_FALSE(moved.ok());
  EXPECT_EQ(moved.rejection().rule, "protected_span_moved");
}

}  // namespace
}  // namespace nativo::text
