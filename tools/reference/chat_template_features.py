"""One template a feature, rendered in CONTEXT."""

CONTEXT = {
    "x": 5, "n": None, "f": 2.5, "s": "aB c", "l": [3, 1, 2, 1], "d": {"b": 1, "a": "due", "C": [1, {"z": None}]}, "t": True, "u": "Perché no? ÀÉ ß Σς 🍒",
    "words": ["uno", "due", "TRE", "quattro"], "rows": [{"a": 1, "k": "x"}, {"a": 2, "k": "Y"}, {"k": "x"}, {"a": {"b": [7, 8]}, "k": None}],
    "html": "<a href=\"x\">'&'</a>", "text": "riga 1\n\n  riga 2\r\nriga 3\u2028fine\n", "big": 9007199254740993, "tiny": 1e-7, "huge": 1.5e300,
}

FEATURES = [line for line in r"""
{{ x }}|{{ n }}|{{ f }}|{{ s }}|{{ l }}|{{ d }}|{{ t }}|{{ u }}|{{ missing }}
{% if x > 3 %}a{% elif x > 1 %}b{% else %}c{% endif %}{% if n %}y{% endif %}
{% for i in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}
{% for i in l if i != 1 %}{{ i }}{{ loop.last }}{{ loop.length }}{% else %}none{% endfor %}
{% for i in l if i > 9 %}{{ i }}{% else %}none{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}
{% for a, b in [(1, 2), (3, 4)] %}{{ a + b }}{% endfor %}
{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for i in missing %}x{% else %}empty{% endfor %}
{% for i in n %}x{% endfor %}
{% for i in x %}x{% endfor %}
{% for c in u %}[{{ c }}]{% endfor %}
{% for i in l %}{% if i == 2 %}{% break %}{% endif %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}
{% for i in [1,2] %}{% for j in [1,2] %}{{ loop.index }}{% if j == 1 %}{% break %}{% endif %}{% endfor %}{{ loop.index }}{% endfor %}
{% for i in l %}{{ loop.cycle('a', 'b') }}{{ loop.changed(i) }}{% endfor %}
{% set y = 1 %}{% for i in l %}{% set y = y + 1 %}{{ y }}{% endfor %}{{ y }}
{% set ns = namespace(a=1) %}{% for i in l %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{{ ns.zz }}{{ ns }}{{ ns['a'] }}
{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a + ns.b }}
{% set ns = namespace(seen=false) %}{% for i in l if not ns.seen %}{{ i }}{% set ns.seen = true %}{% endfor %}
{% set ns._x = 1 %}
{% set x.y = 1 %}
{% set d.b = 2 %}{{ d }}
{% set a, b = 1, 2 %}{{ b }}{{ a }}
{% set a, b = [1] %}
{% set z %}ciao {{ x }}{% endset %}{{ z|upper }}
{% set z | upper | trim %} ciao {{ x }} {% endset %}[{{ z }}]
{% if true %}{% set q = 1 %}{% endif %}{{ q }}
{% with a = 1, b = x %}{{ a }}{{ b }}{% set c = 2 %}{% endwith %}{{ a }}{{ c }}
{% filter upper %}abc{{ x }}{% endfilter %}
{% macro m(a, b=2, c=a) %}{{ a }}-{{ b }}-{{ c }}{% endmacro %}{{ m(1) }}|{{ m(1, 3) }}|{{ m(b=5, a=4) }}|{{ m() }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, k=4) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}
{% macro m(n) %}{% if n > 0 %}{{ n }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(5) }}
{% macro m() %}{{ y }}{% endmacro %}{% set y = 3 %}{{ m() }}
{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}in{{ x }}{% endcall %}
{% macro m() %}<{{ caller(7) }}>{% endmacro %}{% call(v) m() %}in{{ v }}{% endcall %}
{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}
{% macro m() %}{% set inner = 1 %}{% endmacro %}{{ m() }}{{ inner }}
{% raw %}{{ x }}{% if %}{% endraw %}
a {# comment {{ x }} #} b
{{ 'a' if x > 3 else 'b' }}{{ 'a' if x > 9 }}{{ ('a' if x > 9) is undefined }}
{{ 1 + 2 * 3 - 4 / 2 }}|{{ 7 // 2 }}|{{ -7 // 2 }}|{{ 7 % 3 }}|{{ -7 % 3 }}|{{ 7 % -3 }}|{{ 2 ** 10 }}|{{ 2 ** -1 }}|{{ 2 ** 3 ** 2 }}
{{ 7.5 // 2 }}|{{ -7.5 % 2 }}|{{ 1e3 }}|{{ 1_000 }}|{{ 0x1F }}|{{ 0b101 }}|{{ 0o17 }}|{{ 1.0 }}|{{ 1e16 }}|{{ 1e-5 }}|{{ 123456789.123 }}|{{ 0.1 + 0.2 }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 'a' ~ 1 ~ n ~ true ~ 2.0 ~ missing ~ [1] }}
{{ 'a' + 1 }}
{{ 'ab' * 3 }}|{{ [1, 2] * 2 }}|{{ 2 * 'x' }}|{{ 'x' * -1 }}
{{ [1] + [2] }}|{{ (1,) + (2,) }}|{{ () }}
{{ [1] + (2,) }}
{{ not true }}|{{ not n }}|{{ true and 'a' }}|{{ n or 'b' }}|{{ '' or 0 }}|{{ not x == 5 }}
{{ 1 < 2 < 3 }}|{{ 1 < 3 < 2 }}|{{ 1 == 1.0 }}|{{ true == 1 }}|{{ 'a' < 'b' }}|{{ [1, 2] < [1, 3] }}|{{ n == none }}
{{ 1 < 'a' }}
{{ n < 1 }}
{{ missing < 1 }}
{{ 1 in l }}|{{ 9 not in l }}|{{ 'B' in s }}|{{ 'a' in d }}|{{ 1 in missing }}|{{ '' in s }}
{{ 1 in s }}
{{ 1 in n }}
{{ l[0] }}{{ l[-1] }}{{ l[9] }}{{ l['a'] }}{{ l.0 }}{{ d['b'] }}{{ d.b }}{{ d.zz }}{{ s[0] }}{{ s[-1] }}{{ u[5] }}{{ n.a }}{{ x.y }}
{{ missing.a }}
{{ missing['a'] }}
{{ missing() }}
{{ d.zz.y }}
{{ l[1:] }}|{{ l[:-1] }}|{{ l[::2] }}|{{ l[::-1] }}|{{ l[-2:] }}|{{ s[1:3] }}|{{ u[::-1] }}|{{ l[5:] }}|{{ l[3:1:-1] }}|{{ s[:99] }}|{{ l[-99:2] }}
{{ l[::0] }}
{{ d[1:] }}
{{ n[1:] }}
{{ 'è\n\t\x41\u00e8\'"\\' }}{{ "a\"b'" }}{{ 'a' 'b' }}
{{ {'a': 1, 'b': [1, 2], 3: none, (1, 2): 'x'} }}|{{ {} }}|{{ {'a': 1, 'a': 2} }}
{{ {[1]: 2} }}
{{ dict(a=1, b=2) }}|{{ dict({'a': 1}, c=3) }}|{{ dict([('x', 1)]) }}
{{ range(3) }}|{{ range(1, 4)|list }}|{{ range(10, 0, -3)|list }}|{{ range(5)[2] }}|{{ range(3)|length }}
{{ range(1000000) }}
{{ range(1, 5, 0) }}
{{ raise_exception('no') }}
{{ strftime_now('%Y-%m-%d %H:%M:%S %d %b %Y %B %A %j') }}
{{ strftime_now is defined }}{{ raise_exception is callable }}
{{ '  a '|trim }}|{{ 'xxaxx'|trim('x') }}|{{ 5|trim }}
{{ l|length }}{{ s|length }}{{ d|count }}{{ u|length }}{{ missing|length }}
{{ x|length }}
{{ n|length }}
{{ u|upper }}|{{ u|lower }}|{{ 'ciao MONDO'|capitalize }}|{{ 'ciao-mondo (bello) dell\'acqua'|title }}|{{ u|title }}
{{ words|join }}|{{ words|join(', ') }}|{{ [1, none, 'a']|join('-') }}|{{ rows|join(',', attribute='k') }}
{{ 'aaa'|replace('a', 'b') }}|{{ 'aaa'|replace('a', 'b', 2) }}|{{ 'abc'|replace('', '-') }}|{{ 5|replace(5, 6) }}
{{ missing|default('x') }}|{{ ''|default('x') }}|{{ ''|default('x', true) }}|{{ n|d('x') }}|{{ missing|default }}|{{ d.q|default(d.b) }}
{{ l|first }}{{ l|last }}{{ s|first }}{{ s|last }}{{ []|first }}{{ d|first }}{{ d|last }}
{{ s|list }}|{{ d|list }}|{{ d.items()|list }}|{{ d.keys() }}|{{ d.values()|list }}|{{ d|items|list }}
{{ missing|items|list }}
{{ l|items|list }}
{{ 5|string + 'a' }}|{{ n|string }}|{{ [1]|string }}
{{ '42'|int }}|{{ '4.9'|int }}|{{ 'x'|int }}|{{ 'x'|int(7) }}|{{ 4.9|int }}|{{ '0x1f'|int(0, 16) }}|{{ '1f'|int(base=16) }}|{{ true|int }}|{{ n|int }}|{{ ' 7 '|int }}
{{ '2.5'|float }}|{{ 'x'|float }}|{{ 'x'|float(1.5) }}|{{ 3|float }}|{{ '1e3'|float }}|{{ 'inf'|float }}
{{ 2.5|round }}|{{ 3.5|round }}|{{ 2.675|round(2) }}|{{ 42|round }}|{{ 42.55|round(1, 'floor') }}|{{ 42.51|round(1, 'ceil') }}|{{ 5|round(0, 'ceil') }}
{{ -3|abs }}|{{ (-3)|abs }}|{{ -2.5|abs }}|{{ (-2.5)|abs }}
{{ [1, 0, 'a', '', none]|select|list }}|{{ l|select('odd')|list }}|{{ l|reject('equalto', 1)|list }}|{{ l|select('in', [1])|list }}|{{ l|select('>', 1)|list }}
{{ rows|selectattr('a')|list|length }}|{{ rows|selectattr('k', 'equalto', 'x')|list }}|{{ rows|rejectattr('a', 'defined')|list }}|{{ rows|selectattr('a.b')|list }}
{{ rows|map(attribute='k')|list }}|{{ rows|map(attribute='a', default=0)|list }}|{{ words|map('upper')|join(' ') }}|{{ words|map('replace', 'u', 'U')|list }}|{{ rows|map(attribute='a.b.1')|list }}
{{ l|map('nope')|list }}
{% if l|select('equalto', 99) %}generators are true{% endif %}
{{ l|select('odd')|length }}
{% set g = l|select('odd') %}{% for i in g %}{{ i }}{% endfor %}{% for i in g %}{{ i }}{% endfor %}
{% set g = l|map('string') %}{{ g|first }}{{ g|first }}{{ g|list }}
{{ s|reverse }}|{{ l|reverse|list }}|{{ u|reverse }}
{{ l|sort }}|{{ l|sort(reverse=true) }}|{{ words|sort }}|{{ words|sort(case_sensitive=true) }}|{{ rows[:2]|sort(attribute='k') }}|{{ rows[:2]|sort(attribute='a', reverse=true) }}
{{ [1, 'a']|sort }}
{{ l|unique|list }}|{{ ['a', 'A', 'b']|unique|list }}|{{ ['a', 'A']|unique(true)|list }}
{{ html|safe }}|{{ html|e }}|{{ html|escape }}
{{ text|indent }}|{{ text|indent(2, true) }}|{{ text|indent('> ', blank=true) }}|{{ 'a'|indent }}
{{ d|dictsort }}|{{ d|dictsort(true) }}|{{ {'a': 2, 'b': 1}|dictsort(by='value') }}|{{ {'a': 2, 'b': 1}|dictsort(reverse=true) }}
{{ l|batch(3)|list }}|{{ l|batch(3, 'x')|list }}|{{ l|sum }}|{{ l|min }}|{{ l|max }}|{{ rows[:2]|sum(attribute='a') }}|{{ rows[:2]|max(attribute='a') }}
{{ d|tojson }}|{{ html|tojson }}|{{ u|tojson }}|{{ text|tojson }}|{{ f|tojson }}|{{ n|tojson }}|{{ t|tojson }}|{{ (1, 2)|tojson }}|{{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }}
{{ d|tojson(indent=2) }}|{{ []|tojson(indent=2) }}|{{ {}|tojson(indent=2) }}|{{ d|tojson(indent=0) }}|{{ d|tojson(indent='--') }}
{{ u|tojson(ensure_ascii=true) }}|{{ d|tojson(sort_keys=true) }}|{{ d|tojson(separators=(',', ':')) }}|{{ d|tojson(true, 1) }}
{{ missing|tojson }}
{{ l|map('string')|tojson }}
{{ d.items()|tojson }}
{{ big }}|{{ tiny }}|{{ huge }}|{{ big + 1 }}|{{ big|tojson }}|{{ tiny|tojson }}
{{ 1e999 }}
{{ x is defined }}{{ missing is defined }}{{ missing is undefined }}{{ n is none }}{{ s is string }}{{ d is mapping }}{{ l is iterable }}{{ s is iterable }}{{ x is iterable }}{{ l is sequence }}{{ d is sequence }}{{ x is number }}{{ t is number }}{{ f is float }}{{ x is integer }}{{ t is integer }}{{ t is boolean }}{{ t is true }}{{ t is false }}{{ x is odd }}{{ x is even }}{{ x is divisibleby 5 }}{{ x is divisibleby(2) }}
{{ x is eq 5 }}{{ x is equalto(5) }}{{ x is ne 5 }}{{ x is gt 3 }}{{ x is lt(3) }}{{ 1 is in l }}{{ x is sameas 5 }}{{ n is sameas none }}{{ 'upper' is filter }}{{ 'odd' is test }}{{ 'ABC' is upper }}{{ 'abc' is lower }}
{{ x is not none }}{{ x is not defined }}{{ not x is defined }}{{ x is defined and n is none }}
{{ x is nope }}
{{ x|nope }}
{{ missing is iterable }}{{ missing is sequence }}{{ missing == missing2 }}{{ missing is callable }}{{ n is iterable }}
{{ ' a '.strip() }}|{{ 'xax'.strip('x') }}|{{ ' a '.lstrip() }}|{{ ' a '.rstrip() }}|{{ 'a b  c'.split() }}|{{ 'a,b,c'.split(',', 1) }}|{{ 'a,b,c'.rsplit(',', 1) }}|{{ ' a b '.split(none, 1) }}|{{ ' a b c '.rsplit(none, 1) }}
{{ ''.split(',') }}|{{ ''.split() }}|{{ 'a'.split('') }}
{{ s.startswith('a') }}{{ s.endswith(('x', 'c')) }}{{ s.find('B') }}{{ s.find('z') }}{{ s.rfind('c') }}{{ s.index('B') }}{{ s.count('a') }}{{ u.find('no') }}{{ s.replace('a', 'b') }}{{ s.replace('a', 'b', 0) }}
{{ s.index('zz') }}
{{ s.upper() }}{{ s.lower() }}{{ u.title() }}{{ s.capitalize() }}{{ 'they\'re'.title() }}{{ '-'.join(['a', 'b']) }}{{ 'a\nb\r\nc'.splitlines() }}{{ 'a\nb'.splitlines(true) }}
{{ 'abc'.isalpha() }}{{ 'ab1'.isalnum() }}{{ '12'.isdigit() }}{{ '²'.isdigit() }}{{ '½'.isnumeric() }}{{ ' '.isspace() }}{{ 'AB'.isupper() }}{{ 'ab'.islower() }}{{ ''.isalpha() }}
{{ 'abc'.removeprefix('a') }}{{ 'abc'.removesuffix('c') }}{{ 'abc'.removeprefix('x') }}{{ 'a=b=c'.partition('=') }}{{ 'abc'.partition('x') }}
{{ '%s is %d and %.2f %%'|format('a', 5, 2.345) }}|{{ '%s' % 'x' }}|{{ '%s-%s' % (1, 2) }}|{{ '{} {} {{}}'.format(1, 'b') }}|{{ '{0}{1}{0}'.format('a', 'b') }}|{{ '{k}'.format(k=3) }}|{{ '%r' % 'x' }}
{{ '%s %s' % 'x' }}
{{ '%d' % 'x' }}
{{ '{}'.format() }}
{{ d.get('b') }}{{ d.get('zz') }}{{ d.get('zz', 1) }}{{ d.keys()|list }}{{ d.values()|length }}{{ d.copy() }}{{ d['get'] is callable }}{{ d['items']()|length }}
{{ l.append(1) }}
{{ d.update({'a': 1}) }}
{{ d.pop('a') }}
{{ l.count(1) }}{{ l.index(2) }}{{ (1, 2, 1).count(1) }}
{{ l.__class__ }}{{ ''.__class__.__mro__ }}
{{ 'a'.nope() }}
{{ x() }}
{{ [1, 'a', "it's", 'q"', 'both\'"', none, true, 1.0, {'k': (1,)}, 'tab\t\n\\ è 🍒 \x01 '] }}
{{ 'a' if }}
{{ x
{% if x %}
{% for %}{% endfor %}
{% endif %}
{{ 'abc }}
{# open
{{ x | }}
{{ (1 }}
{{ 1 2 }}
{% set 1 = 2 %}
{% set true = 2 %}
{% nope %}
{% break %}
{{ [1, 2 }}
{{ }}
{% macro m(a=1, b) %}{% endmacro %}
{{ 'a' is string is string }}
{{ f(a=1, 2) }}
{% include 'x' %}
{{ loop }}
{{ x|default }}{{ -x }}{{ +x }}{{ --x }}{{ -f }}{{ - 'a' }}
{{ true + true }}{{ -true }}{{ 5 if true }}
{{ x.__add__(1) }}
{{ l|join(missing) }}{{ missing ~ 'a' }}{{ missing|upper }}
{{ missing + 'a' }}
{{ missing|int }}
{{ missing|list }}{{ missing|first }}{{ missing|trim }}{{ missing|map('upper')|list }}
{{ messages }}{{ tools }}{{ documents }}{{ add_generation_prompt }}
{% if messages is defined and messages and messages[0].role == 'system' %}a{% else %}b{% endif %}
{% generation %}a{{ x }}{% endgeneration %}b
{% for m in [1, 2] %}{% generation %}{{ m }}{% set q = 1 %}{% endgeneration %}{{ q }}{% endfor %}
{{ "{{ x }}" }}{{ '%}' }}{{ "{% if %}" }}
{{ {'a': {'b': 1}}['a']['b'] }}{{ [[1, 2], [3]][0][1] }}{{ 'abc'[1:][0] }}{{ (1, 2)[0] }}
{{ x in [5, 6] and 'si' or 'no' }}{{ (x | string)[0] }}{{ x|string|length + 1 }}
{{ l|first + 1 }}{{ 'a' ~ 'b'|upper }}{{ ('a' ~ 'b')|upper }}{{ -x|abs }}{{ 2 * l|length }}
""".strip("\n").split("\n")]

# White space control: newlines matter here.
FEATURES += [
    "a\n{% if x %}\nb\n{% endif %}\nc\n",
    "a\n  {% if x %}  \n  b\n  {% endif %}\nc\n\n",
    "a  {%- if x -%}  b  {%- endif -%}  c",
    "a\n  {{- x -}}  \n b",
    "a\n  {{ x }}\n  {%+ if x %}\n  y{% endif +%}\n z",
    "  {# c #}\n  {#- d -#}\n  e {#+ f #}\ng",
    "\n\n{% set a = 1 %}\n\n{{ a }}\n\n",
    "a\r\n{% if x %}\r\nb\rc{% endif %}\r\n",
    "{% raw %}\n  {{ x }}\n{% endraw %}\nz",
    "  {% raw -%}  a  {%- endraw %}  z",
    "x {% for i in l %}\n {{ i }}\n{% endfor %}\n",
    "{% for i in l -%}\n    {{ i }}\n{%- endfor %}",
    "\t{% if x %}\tb\t{% endif %}\t\n",
    "a {% if x %} b {% endif %} c",
    "\u00a0{% if x %}\u3000b{%- endif %}",
    "{{ x }}\n",
    "{{ x }}\n\n",
    "{% if x -%}\n\n  a\n  {%- else -%} b {%- endif %}\n\nc",
    "{%-if x-%} a {%-endif-%} b",
    "{%- set a = 1 -%}\n\n  {{-a}}",
    "{ {{ x }} } {% if true %}{{ '{' }}{% endif %} {{{'a': 1}}} {",
]
