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
              ElementsAre("number:12", "number:1,000", "number:37.5", "unit:°C", "number:10:30",
                          "number:25%", "number:3/4"));
  EXPECT_THAT(found("5kg, 3.5 km/h and 20 MB/s, but 7 miles and 2 ms-long"),
              ElementsAre("number:5", "unit:kg", "number:3.5", "unit:km/h", "number:20",
                          "unit:MB/s", "number:7", "number:2"));
  EXPECT_THAT(found("the 2nd and 21st"), ElementsAre("number:2", "number:21"));
  EXPECT_THAT(found("It was 5."), ElementsAre("number:5"));
}

TEST(FindSpans, ATagBehindAWordIsNoTypeArgument) {
  EXPECT_THAT(found("One line<br>and a word<b>bold</b>, but List<int> and Page<Button>"),
              ElementsAre("tag:<br>", "tag:<b>", "tag:</b>", "identifier:List<int>",
                          "identifier:Page<Button>"));
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
  EXPECT_THAT(found("for %ss (%dx%d, %ds)"),
              ElementsAre("placeholder:%s", "placeholder:%d", "placeholder:%d", "placeholder:%d"));
  EXPECT_THAT(found("a %sure thing"), IsEmpty());
  EXPECT_THAT(
      found("a <b>bold</b> word <<48/2=24>>24, 3 < 4"),
      ElementsAre("tag:<b>", "tag:</b>", "tag:<<48/2=24>>", "number:24", "number:3", "number:4"));
  EXPECT_THAT(found("given {\"a\": [1, 2]} and ['x', 'y'] or [see below]"),
              ElementsAre("literal:{\"a\": [1, 2]}", "literal:['x', 'y']"));
}

TEST(FindSpans, Versions) {
  EXPECT_THAT(found("GPT-4, COVID-19, UTF-8, Python3.10, v1.2.3 of 1.2.3; mid-1990 at 10.0.0.1"),
              ElementsAre("identifier:GPT-4", "identifier:COVID-19", "identifier:UTF-8",
                          "identifier:Python3.10", "identifier:v1.2.3", "number:1.2.3",
                          "number:1990", "number:10.0.0.1"));
  EXPECT_THAT(found("C++, C#, R&D, .NET, #ff00ff, issue #12 and ls -l --all --depth=3."),
              ElementsAre("identifier:C++", "identifier:C#", "identifier:R&D", "identifier:.NET",
                          "identifier:#ff00ff", "identifier:#12", "identifier:-l",
                          "identifier:--all", "identifier:--depth=3"));
  EXPECT_THAT(found("C:\\Users\\anna\\a.txt, *.txt or ~/x/y"),
              ElementsAre("path:C:\\Users\\anna\\a.txt", "path:*.txt", "path:~/x/y"));
}

TEST(FindSpans, Placeholders) {
  EXPECT_THAT(
      found("%-5.2f %+d %lld %zu %% %@ %2 %n %{name} %PATH% %(total).1f"),
      ElementsAre("placeholder:%-5.2f", "placeholder:%+d", "placeholder:%lld", "placeholder:%zu",
                  "placeholder:%%", "placeholder:%@", "placeholder:%2", "placeholder:%n",
                  "placeholder:%{name}", "placeholder:%PATH%", "placeholder:%(total).1f"));
  EXPECT_THAT(found("a 5% discount, 100 % sure"), ElementsAre("number:5%", "number:100"));
  EXPECT_THAT(
      found("{user.name} {0:.2f} {x!r} {items[0]} {% if x %} {{ a | b }} $HOME ${x} $(ls)"),
      ElementsAre("placeholder:{user.name}", "placeholder:{0:.2f}", "placeholder:{x!r}",
                  "placeholder:{items[0]}", "placeholder:{% if x %}", "placeholder:{{ a | b }}",
                  "placeholder:$HOME", "placeholder:${x}", "placeholder:$(ls)"));
  EXPECT_THAT(found("an open [ bracket and then {name}"), ElementsAre("placeholder:{name}"));
}

TEST(FindSpans, MessageFormats) {
  EXPECT_THAT(found("You have {n, plural, =0 {no files} one {# file in {dir}} other {# files}}."),
              ElementsAre("message_format:{n, plural, =0 {", "message_format:} one {",
                          "placeholder:#", "placeholder:{dir}", "message_format:} other {",
                          "placeholder:#", "message_format:}}"));
  EXPECT_THAT(found("{who, select, male {his} other {their}} book"),
              ElementsAre("message_format:{who, select, male {", "message_format:} other {",
                          "message_format:}}"));
}

TEST(FindSpans, HtmlAndEntities) {
  EXPECT_THAT(found("<a href=\"x?a=1&b=2\" title='a > b'>here</a> &amp; &#39;you&#x27; <br/>"),
              ElementsAre("tag:<a href=\"x?a=1&b=2\" title='a > b'>", "tag:</a>", "entity:&amp;",
                          "entity:&#39;", "entity:&#x27;", "tag:<br/>"));
  EXPECT_THAT(found("Use <code>a b c</code> or <kbd>Ctrl</kbd>."),
              ElementsAre("tag:<code>a b c</code>", "tag:<kbd>Ctrl</kbd>"));
  EXPECT_THAT(found("the <empty> list, a <b and c> d, your <own name>"), IsEmpty());
  EXPECT_THAT(found("<item>one</item>, List<String>, map<string, vector<int>>"),
              ElementsAre("tag:<item>", "tag:</item>", "identifier:List<String>",
                          "identifier:map<string, vector<int>>"));
  EXPECT_THAT(
      found("Help by [color=$c][url=x]writing one[/url][/color] of [b] and '*', *.txt, a/*"),
      ElementsAre("tag:[color=$c]", "tag:[url=x]", "tag:[/url]", "tag:[/color]", "path:*.txt"));
}

TEST(FindSpans, Markdown) {
  EXPECT_THAT(found("See [the **big** page](http://a.b/c_d \"T\") and ![an image][pic]."),
              ElementsAre("markup:[", "markup:**", "markup:**", "markup:](http://a.b/c_d \"T\")",
                          "markup:![", "markup:][pic]"));
  EXPECT_THAT(found("[pic]: img/a.png\nText[^1] here.\n- [x] done"),
              ElementsAre("markup:[pic]: img/a.png", "markup:[^1]", "markup:[x]"));
  EXPECT_THAT(found("*one* _two_ __three__ ***four*** ~~five~~ 2 * 3 * 4"),
              ElementsAre("markup:*", "markup:*", "markup:_", "markup:_", "markup:__", "markup:__",
                          "markup:***", "markup:***", "markup:~~", "markup:~~", "number:2",
                          "number:3", "number:4"));
  EXPECT_THAT(found("---\ntitle: A title\n---\nText."),
              ElementsAre("front_matter:---\ntitle: A title\n---"));
}

TEST(FindSpans, EscapesAndCommands) {
  EXPECT_THAT(found("First\\nSecond \\\"quoted\\\" \\u00e8 \\theta and \\frac{a}{b}_1, '\\'"),
              ElementsAre("escape:\\n", "escape:\\\"", "escape:\\\"", "escape:\\u00e8",
                          "math:\\theta", "math:\\frac{a}{b}_1"));
}

TEST(FindSpans, Mnemonics) {
  EXPECT_THAT(found("&Open"), ElementsAre("mnemonic:&"));
  EXPECT_THAT(found("Save &As... Sal&va & go"), ElementsAre("mnemonic:&", "mnemonic:&"));
  EXPECT_THAT(found("_Open File"), ElementsAre("mnemonic:_"));
  EXPECT_THAT(found("my_file"), ElementsAre("identifier:my_file"));
}

TEST(FindSpans, SymbolsAreTakenWhole) {
  EXPECT_THAT(
      found(
          "Hi 👩‍👩‍👧‍👦 and 👍🏽🇮🇹1️⃣ ok ✅ → ─── città © "
          "5"),
      ElementsAre("symbol:👩‍👩‍👧‍👦", "symbol:👍🏽", "symbol:🇮🇹",
                  "symbol:1️⃣", "symbol:✅", "symbol:→", "symbol:───", "number:5"));
  EXPECT_THAT(found("日本語と中文 текст è già"), IsEmpty());
}

TEST(FindSpans, EveryUnderscoreIsInside) {
  constexpr std::string_view kPool = "ab1A_ _*.,$`{}[](\\\n#&-_é<>/:";
  Rng rng(13);
  for (int round = 0; round < 5000; ++round) {
    std::string text;
    const std::size_t length = rng.below(60);
    for (std::size_t i = 0; i < length; ++i) text += kPool[rng.below(kPool.size())];
    std::vector<bool> inside(text.size(), false);
    for (const Span& span : find_spans(text)) {
      for (std::size_t i = span.begin; i < span.end; ++i) inside[i] = true;
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
      ASSERT_TRUE(text[i] != '_' || inside[i]) << text;
    }
  }
}

TEST(FindSpans, LongJsonIsOneLiteral) {
  std::string json = "{\"rows\": [";
  for (int i = 0; i < 2000; ++i) json += (i > 0 ? ", " : "") + std::string("{\"name\": \"a b\"}");
  json += "]}";
  EXPECT_THAT(found("Given " + json + " find x."), ElementsAre("literal:" + json));
}

TEST(FindSpans, TermsOfAGlossary) {
  const TermAt term_at = [](std::string_view text, std::size_t i) {
    return text.substr(i).starts_with("loss") ? i + 4 : std::string_view::npos;
  };
  const std::string text = "The loss of `loss` in loss.py, **loss**";
  std::vector<std::string> terms;
  for (const Span& span : find_spans(text, term_at)) {
    if (span.kind == SpanKind::kTerm) terms.push_back(std::to_string(span.begin));
  }
  EXPECT_THAT(terms, ElementsAre("4", "33"));
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
       {"{",       "[",      "`",   "$",   "<",  "\\(", "\\begin{a}", "```\n",
        "1.",      "%(",     "*a ", "_a ", "[`", "![",  "{\"a\":",    "{a, plural, one {",
        "<a b=\"", "<code>", "&a",  "\\",  "_",  "a_",  "{{",         "(",
        "<x>",     "👍"}) {
    std::string text;
    while (text.size() < 50000) text += unit;
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

  const auto kept = verify_protected("<b>12</b> of **them** and [a](x) [b](y)",
                                     "[b](y) e [a](x), **loro**, <b>12</b>");
  EXPECT_TRUE(kept.ok()) << kept.rejection().value;
  for (const std::string bad :
       {"</b>12<b> of **them** and [a](x) [b](y)", "<b>12 of **them</b>** and [a](x) [b](y)"}) {
    const auto crossed = verify_protected("<b>12</b> of **them** and [a](x) [b](y)", bad);
    ASSERT_FALSE(crossed.ok()) << bad;
    EXPECT_EQ(crossed.rejection().rule, "protected_span_moved") << bad;
  }
  EXPECT_TRUE(verify_protected("10 kilometres", "10 km").ok());
  EXPECT_FALSE(verify_protected("10 km", "10 chilometri").ok());
  EXPECT_FALSE(
      verify_protected("{n, plural, one {a} other {b}}", "} other {b}{n, plural, one {a}}").ok());

  const auto moved =
      verify_protected("```\na\n```\nand\n```\nb\n```", "```\nb\n```\ne\n```\na\n```");
  ASSERT_FALSE(moved.ok());
  EXPECT_EQ(moved.rejection().rule, "protected_span_moved");
}

}  // namespace
}  // namespace nativo::text
