#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/jinja_interpreter.h"

namespace nativo::text::jinja {
namespace {

/// `source` with a variable `content` that came from outside, as owner 7.
Rendered render(const std::string& source, const std::string& content = "content") {
  return Template(source, "t.jinja").render([&](Heap& heap) {
    return Variables{{"content", heap.from_json(content, 7)},
                     {"trusted", heap.from_json("markup", Heap::kTrusted)},
                     {"list", heap.from_json(Json::array({1, 2, 3}), 7)}};
  });
}

std::string error_of(const std::string& source) {
  try {
    return "no error: " + render(source).text.bytes.substr(0, 100);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kData);
    return e.what();
  }
}

/// The parts of a rendered text that came from outside.
std::vector<std::string> outside(const Rendered& rendered) {
  std::vector<std::string> out;
  for (const Span& span : rendered.text.spans) {
    EXPECT_EQ(span.owner, 7);
    out.push_back(rendered.text.bytes.substr(span.begin, span.end - span.begin));
  }
  return out;
}

TEST(Jinja, ErrorsNameTemplateLineAndColumn) {
  EXPECT_EQ(error_of("a\n{{ 1 + }}"),
            "chat template t.jinja:2:8: expected an expression, found the end of the tag");
  EXPECT_EQ(error_of("{% if content %}\n\n  {{ content.nope.x }}"),
            "chat template t.jinja:3:23: the template ends without {% endif %}");
  EXPECT_EQ(error_of("x\n  {{ content.nope.x }}"),
            "chat template t.jinja:2:18: \"nope\" is not defined");
  EXPECT_EQ(error_of("{{ content|wordwrap }}"),
            "chat template t.jinja:1:12: the filter \"wordwrap\" is unknown or not supported");
  EXPECT_EQ(error_of("{% include 'x' %}"),
            "chat template t.jinja:1:4: {% include %} is not supported");
  EXPECT_EQ(error_of("{{ raise_exception('solo utenti') }}"),
            "chat template t.jinja:1:19: the template says: solo utenti");
  EXPECT_EQ(error_of("{{ content.zfill(3) }}"),
            "chat template t.jinja:1:11: the method \"zfill\" of a str is not supported");
}

TEST(Jinja, RemembersWhatCameFromOutside) {
  using Parts = std::vector<std::string>;
  EXPECT_EQ(outside(render("<s>{{ trusted }}{{ content }}</s>")), Parts{"content"});
  EXPECT_EQ(outside(render("{{ '<s>' + content + '</s>' ~ content }}")),
            (Parts{"content", "content"}));
  EXPECT_EQ(outside(render("[{{ content | trim | upper }}]", "  è ok \n")), Parts{"È OK"});
  EXPECT_EQ(outside(render("{{ content[2:5] }}{{ content[::-1] }}")), Parts{"ntetnetnoc"});
  EXPECT_EQ(outside(render("{{ {'k': content} | tojson }}", "\"\n<s>")), Parts{"\\\"\\n<s>"});
  EXPECT_EQ(outside(render("{{ content.split('</think>')[-1].lstrip('\\n') }}", "a</think>\nb")),
            Parts{"b"});
  EXPECT_EQ(outside(render("{{ content.replace('t', '<s>') }}", "atbt")), (Parts{"a", "b"}));
  EXPECT_EQ(outside(render("{{ content | replace('\n', ' ') | title }}", "uno\ndue")),
            (Parts{"Uno", "Due"}));
  EXPECT_EQ(outside(render("{% set x %}<{{ content }}>{% endset %}{{ x }}{{ x | indent }}")),
            (Parts{"content", "content"}));
  EXPECT_EQ(outside(render("{% macro m(c) %}<{{ c }}>{% endmacro %}{{ m(content) }}")),
            Parts{"content"});
  EXPECT_EQ(outside(render("{{ ['a', content] | join('<s>') }}+{{ '%s!' % content }}")),
            (Parts{"content", "content"}));
  EXPECT_EQ(outside(render("{{ [content] }}", "it's")), Parts{"it's"});
}

TEST(Jinja, GenerationBlocksGiveByteSpans) {
  const Rendered out = render(
      "è{% generation %}{{ content }}</s>{% endgeneration %}{% generation %}{% endgeneration %}\n");
  EXPECT_EQ(out.text.bytes,
            "\xC3\xA8"
            "content</s>");
  ASSERT_EQ(out.generation.size(), 2U);
  EXPECT_EQ(out.generation[0], (std::pair<std::size_t, std::size_t>{2, 13}));
  EXPECT_EQ(out.generation[1], (std::pair<std::size_t, std::size_t>{13, 13}));
}

// Each of these would run for ever, take all memory or overflow the stack without its bound.
TEST(Jinja, HostileTemplatesEndWithAnError) {
  std::string deep_list;
  std::string deep_if;
  std::string sum = "{{ 1";
  std::string filters = "{{ content";
  std::string minus = "{{ ";
  std::string map_of_map = "{{ ['a'] | map('map'";
  for (int i = 0; i < 100000; ++i) {
    deep_list += "[";
    deep_if += "{% if 1 %}";
    sum += " + 1";
    filters += "|trim";
    minus += "-";
    map_of_map += ", 'map'";
  }
  const std::string forever = "{% for a in range(100000) %}{% for b in range(100000) %}";
  const std::vector<std::string> hostile = {
      "{{ " + deep_list + "}}",
      deep_if,
      sum + " }}",
      filters + " }}",
      minus + "1 }}",
      map_of_map + ") }}",
      "{{ 'x' * 10000000000 }}",
      "{{ '' * 10000000000 }}{{ 'ab' * 400000000 }}",
      "{{ [1] * 1000000000 }}",
      "{{ range(10000000) }}",
      forever + "{% endfor %}{% endfor %}",
      forever + "x{% endfor %}{% endfor %}",
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
      "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
      "{% set n = namespace(s='x') %}{% for i in range(100) %}{% set n.s = n.s + n.s %}{% endfor "
      "%}",
      "{% set n = namespace(l=[1]) %}{% for i in range(99) %}{% set n.l = [n.l, n.l] %}{% endfor %}"
      "{{ n.l }}",
      "{% set n = namespace(l=[1]) %}{% for i in range(99) %}{% set n.l = [n.l, n.l] %}{% endfor %}"
      "{{ n.l|tojson }}",
      "{% set n = namespace(l=[1], m=[1]) %}{% for i in range(99) %}{% set n.l = [n.l, n.l] %}"
      "{% set n.m = [n.m, n.m] %}{% endfor %}{{ n.l == n.m }}",
      "{% set n = namespace(l=[1]) %}{% for i in range(9999) %}{% set n.l = [n.l] %}{% endfor %}"
      "{{ n.l }}",
      "{% set n = namespace() %}{% set n.n = [n] %}{{ n }}",
      "{% set n = namespace(l=1, m=1) %}{% for i in range(9999) %}{% set n.l = [n.l] %}"
      "{% set n.m = [n.m] %}{% endfor %}{{ n.l < n.m }}",
      "{{ 'a' | indent(100000000000) }}",
      "{{ [1] | batch(100000000000, 2) | list }}",
      "{{ {} | tojson(indent=100000000) }}",
      "{{ 2 ** 63 }}",
      "{{ 9223372036854775807 + 1 }}",
      "{{ -9223372036854775807 - 2 }}",
      "{{ (-9223372036854775807 - 1) // -1 }}",
      "{{ -(-9223372036854775807 - 1) }}",
      "{{ (-9223372036854775807 - 1)|abs }}",
      "{{ 1e300|int }}",
      "{{ 'a' | replace('', 'x' * 100000) | replace('x', 'y' * 100000) }}",
      "{{ strftime_now('%c' * 1000) }}",
      "{{ '%s' % }}",
      "{{ '%.999999999999f' % 1.0 }}",
      "{% set s = 'a' * 1000000 %}{{ s.rfind('b' + 'a' * 500000) }}",
  };
  for (const std::string& source : hostile) {
    const auto start = std::chrono::steady_clock::now();
    const std::string message = error_of(source);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    EXPECT_EQ(message.find("chat template t.jinja:"), 0U)
        << source.substr(0, 80) << ": " << message;
    EXPECT_LT(taken.count(), 5.0) << source.substr(0, 80);
  }
}

TEST(Jinja, LongButHonestTemplatesRun) {
  std::string source;
  for (int i = 0; i < 2000; ++i) source += "{% if list %}{{ content ~ '-' }}{% endif %}\n";
  EXPECT_EQ(render(source).text.bytes.size(), 2000U * 8);
}

TEST(Jinja, ReadsNothingItIsNotGiven) {
  EXPECT_EQ(render("{{ ''.__class__ }}{{ content.__init__ }}{{ self }}{{ config }}").text.bytes,
            "");
  EXPECT_NE(error_of("{{ ''.__class__.__mro__ }}").find("not defined"), std::string::npos);
}

}  // namespace
}  // namespace nativo::text::jinja
