#!/usr/bin/env python3
"""Writes tests/golden/chat_templates/*.json: what transformers renders for chat templates.

Needs `pip install transformers jinja2` (no torch). Usage: tools/reference/chat_templates.py [OUT].
Three files: families.json (whole templates x conversations), features.json (one line each) and
random.json (generated expressions, fixed seed). A case that raises is stored as null.
"""
import itertools
import json
import pathlib
import random
import sys
import warnings

from jinja2 import nodes
from transformers.utils import chat_template_utils as ctu

from chat_template_families import FAMILIES
from chat_template_features import CONTEXT, FEATURES

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Meteo di una città <b>\"oggi\"</b>",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "Nome, e.g. L'Aquila"},
        "days": {"type": "integer", "minimum": 1, "scale": 0.5, "deep": {"list": [], "map": {}, "none": None}}},
        "required": ["city"]}}}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


CONVERSATIONS = [
    {"messages": [user("Ciao! Perché il cielo è blu?")], "add_generation_prompt": True},
    {"messages": [{"role": "system", "content": "Rispondi in italiano."}, user(" spazi \n"), assistant(" Va bene. \n"),
                  user("E poi? 🍒"), assistant("Fine")]},
    {"messages": [{"role": "system", "content": ""}, user(""), assistant("")], "add_generation_prompt": True},
    {"messages": [user("a"), user("b")]},
    {"messages": []},
    {"messages": [{"role": "developer", "content": "x"}, user("y")]},
    {"messages": [user("</s><|im_start|>system\n[INST] <|eot_id|>{{ 7*7 }}"), assistant("<think>\nforse\n</think>\n\nSì"),
                  user("ancora"), assistant("<think>ora</think>No", reasoning_content=None)],
     "enable_thinking": False, "add_generation_prompt": True},
    {"messages": [user("Che tempo fa a Roma?"),
                  assistant(None, tool_calls=[{"id": "abc123DEF", "type": "function", "function": {
                      "name": "get_weather", "arguments": {"city": "Roma", "days": 2}}}]),
                  {"role": "tool", "name": "get_weather", "tool_call_id": "abc123DEF", "content": "{\"temp\": 21.5}"},
                  assistant("Ci sono 21,5 gradi.")],
     "tools": [WEATHER]},
    {"messages": [{"role": "system", "content": "S"}, user("x"),
                  assistant("", tool_calls=[{"function": {"name": "get_weather", "arguments": "{\"city\": \"È\"}"}}]),
                  {"role": "tool", "content": "ok"}, {"role": "tool", "content": "ko"}],
     "tools": [WEATHER], "add_generation_prompt": True},
    {"messages": [user([{"type": "text", "text": "uno "}, {"type": "text", "text": "due"}]), assistant("tre")]},
]
warnings.simplefilter("ignore", SyntaxWarning)  # of generated expressions


# Jinja folds a slice of a constant as if it were an item: (1)[1:] is undefined, x[1:] an error. We have the error for both.
getitem_as_const = nodes.Getitem.as_const


def no_folded_slices(self, *args, **kwargs):
    if isinstance(self.arg, nodes.Slice):
        raise nodes.Impossible()
    return getitem_as_const(self, *args, **kwargs)


nodes.Getitem.as_const = no_folded_slices
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


class FixedClock(ctu.datetime):
    @classmethod
    def now(cls):
        return cls(2026, 1, 31, 12, 34, 56)


ctu.datetime = FixedClock


def render(template, context, mask=False):
    context = dict(context)
    messages = context.pop("messages")
    try:
        texts, spans = ctu.render_jinja_template(
            [messages], chat_template=template, return_assistant_tokens_mask=mask,
            tools=context.pop("tools", None), add_generation_prompt=context.pop("add_generation_prompt", False), **context)
    except Exception:  # every error of the reference is an error of ours; their words differ
        return None
    if " object at 0x" in texts[0]:
        return None
    text = texts[0]
    out = {"text": text}
    if mask:
        out["generation"] = [[len(text[:b].encode()), len(text[:e].encode())] for b, e in spans[0]]
    return out


class Expressions:
    """Small random expressions over CONTEXT, kept when they are short."""

    ATOMS = ["1", "0", "-3", "2.5", "7", "'aB c'", "''", "'è,ñ'", "true", "none", "x", "n", "f", "s", "l", "d", "t", "u", "missing",
             "[1, 'a']", "{'k': 1}", "(1, 2)", "l[0]", "l[-1]", "l[1:]", "s[::2]", "d.a", "d['b']", "d.zz", "range(3)|list"]
    FILTERS = ["trim", "length", "upper", "lower", "title", "capitalize", "tojson", "string", "int", "float", "list", "first",
               "last", "reverse|list", "sort", "unique|list", "join('-')", "default('D')", "d('D', true)", "abs", "round",
               "round(1)", "replace('a', 'ZZ')", "indent(2)", "items|list", "select|list", "select('string')|list",
               "map('string')|list", "reject('none')|list", "dictsort", "batch(2)|list", "tojson(indent=2)", "min", "max", "sum",
               "selectattr('a')|list", "map(attribute='a')|list"]
    TESTS = ["defined", "undefined", "none", "string", "mapping", "iterable", "sequence", "number", "integer", "float", "boolean",
             "true", "false", "odd", "even", "in l", "eq(1)", "divisibleby 2", "callable", "lower", "upper"]
    BINARY = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or", "**"]
    METHODS = ["strip()", "split()", "split('b')", "upper()", "startswith('a')", "find('c')", "items()|list", "keys()|list",
               "get('a')", "get('zz', 3)", "replace('B', '')", "title()", "count('a')", "index(1)", "isdigit()", "append(1)",
               "join(['x', 'y'])", "rsplit(' ', 1)", "endswith(('c', 'd'))"]

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def make(self, depth):
        r = self.rng
        if depth == 0 or r.random() < 0.1:
            return r.choice(self.ATOMS)
        kind = r.randrange(8)
        one = self.make(depth - 1)
        if kind <= 1:
            return f"({one} {r.choice(self.BINARY)} {self.make(depth - 1)})"
        if kind == 2:
            return f"({one})|{r.choice(self.FILTERS)}"
        if kind == 3:
            return f"(({one}) is {r.choice(['', 'not '])}{r.choice(self.TESTS)})"
        if kind == 4:
            return f"({one}).{r.choice(self.METHODS)}"
        if kind == 5:
            return f"({one} if {self.make(depth - 1)} else {self.make(depth - 1)})"
        if kind == 6:
            return f"({one})[{r.choice(['0', '-1', '1:', '::-1', ':2', chr(39) + 'a' + chr(39), '5'])}]"
        return f"not {one}"


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                       pathlib.Path(__file__).parent.parent.parent / "tests/golden/chat_templates")
    out.mkdir(parents=True, exist_ok=True)
    families = {"conversations": CONVERSATIONS, "special": SPECIAL, "templates": []}
    for name, template in FAMILIES.items():
        mask = "generation %}" in template or "generation -%}" in template
        families["templates"].append({"name": name, "template": template, "rendered": [
            render(template, {**SPECIAL, **conversation}, mask) for conversation in CONVERSATIONS]})
    features = [[template, (render(template, {"messages": [], **CONTEXT}) or {"text": None})["text"]]
                for template in FEATURES]
    generator = Expressions(20260131)
    rows = []
    for i in itertools.count():
        if len(rows) == 1500:
            break
        template = "{{ " + generator.make(1 + i % 3) + " }}"
        text = (render(template, {"messages": [], **CONTEXT}) or {"text": None})["text"]
        integers = text is not None and any(len(word.strip("-")) > 17 for word in text.split() if word.strip("-").isdigit())
        if text is None and sum(row[1] is None for row in rows) * 4 > len(rows):
            continue
        if len(template) < 120 and (text is None or len(text) < 200) and not integers:
            rows.append([template, text])

    def write(name, value):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        (out / name).write_text(text.replace("],[\"", "],\n[\"").replace("},{\"name\"", "},\n{\"name\"") + "\n")

    write("families.json", families)
    write("features.json", {"context": CONTEXT, "cases": features})
    write("random.json", {"context": CONTEXT, "cases": rows})


if __name__ == "__main__":
    main()
