#!/usr/bin/env python3
"""Writes tests/golden/tokenizers/chat.json: what transformers' apply_chat_template(tokenize=True) gives.

Needs `pip install transformers jinja2` (no torch). Usage: tools/reference/make_chat_tokens.py [OUT]. Two small
tokenizers (byte-level, and with byte fallback) x templates x conversations: ids, and the assistant's mask as
transformers computes it from {% generation %} marks. Those marks stand in a second copy of the template ("marked"),
written as TRL's training templates are; the tests render the copy without them.
"""
import json
import pathlib
import re
import sys

from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils as ctu

import make_tokenizers
from chat_template_families import FAMILIES

ROOT = pathlib.Path(__file__).resolve().parents[2]
WHOLE = ["llama-3", "llama-3.1", "qwen2.5", "qwen3", "gemma", "phi-3", "mistral-v1", "mistral-v3", "zephyr", "deepseek",
         "smollm", "llama-2"]
LOOP = ("{%% for m in messages %%}{%% if m['role'] == 'assistant' %%}%s{%% generation %%}%s{%% endgeneration %%}%s"
        "{%% else %%}%s{%% endif %%}{%% endfor %%}{%% if add_generation_prompt %%}%s{%% endif %%}")
NEWLINE = "{{ '\\n' }}"  # one that stands behind a tag would be trimmed
MARKED = {
    "chatml": LOOP % ("<|im_start|>assistant\n", "{{ m['content'] }}<|im_end|>", NEWLINE,
                      "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n", "<|im_start|>assistant\n"),
    "llama-3": "{{ bos_token }}" + LOOP % (
        "<|start_header_id|>assistant<|end_header_id|>\n\n", "{{ m['content'] | trim }}<|eot_id|>", "",
        "<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] | trim }}<|eot_id|>",
        "<|start_header_id|>assistant<|end_header_id|>\n\n"),
    "zephyr": LOOP % ("<|assistant|>\n", "{{ m['content'] }}{{ eos_token }}", NEWLINE,
                      "<|{{ m['role'] }}|>\n{{ m['content'] }}{{ eos_token }}\n", "<|assistant|>\n"),
    "gemma": "{{ bos_token }}" + LOOP % (
        "<start_of_turn>model\n", "{{ m['content'] | trim }}<end_of_turn>", NEWLINE,
        "<start_of_turn>{{ m['role'] }}\n{{ m['content'] | trim }}<end_of_turn>\n", "<start_of_turn>model\n"),
}
MARKS = re.compile(r"{% (end)?generation %}")
CONVERSATIONS = [
    [("user", "Ciao! Perché il cielo è blu?"), ("assistant", "Perché l'aria diffonde la luce blu. 🍒")],
    [("system", "Rispondi in italiano."), ("user", " spazi \n"), ("assistant", " Va bene. \n"), ("user", "E poi?"),
     ("assistant", "1, 22, 333\n\n- fine.")],
    [("user", "a"), ("assistant", "b"), ("user", "it's 3:45")],
    [("user", "x"), ("assistant", "")],
]


class FixedClock(ctu.datetime):
    @classmethod
    def now(cls):
        return cls(2024, 7, 1, 12, 0, 0)


ctu.datetime = FixedClock


def with_specials(tokenizer):
    text = "".join(FAMILIES[name] for name in WHOLE) + "".join(MARKED.values())
    found = sorted(set(re.findall(r"<\|\w+\|>|<｜[^<>｜]+｜>|<\w+_of_turn>|\[/?INST\]", text)) | {"<|user|>", "<|system|>"})
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in ["<s>", "</s>", *found]])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


def case(tokenizer, template, messages, **more):
    try:
        return tokenizer.apply_chat_template(messages, chat_template=template, tokenize=True, return_dict=True, **more)
    except Exception:  # a template's own refusal
        return None


def main():
    out = {"tokenizers": {}, "templates": {name: FAMILIES[name] for name in WHOLE},
           "marked": {name: MARKS.sub("", text) for name, text in MARKED.items()},
           "conversations": CONVERSATIONS, "cases": []}
    for kind in (make_tokenizers.qwen2, make_tokenizers.llama2, make_tokenizers.mistral):
        name = kind.__name__
        tokenizer = with_specials(kind())
        out["tokenizers"][name] = json.loads(tokenizer.backend_tokenizer.to_str())
        for index, conversation in enumerate(CONVERSATIONS):
            messages = [{"role": role, "content": content} for role, content in conversation]
            prompt = messages[-1]["role"] == "user"
            for family in WHOLE:
                found = case(tokenizer, FAMILIES[family], messages, add_generation_prompt=prompt)
                if found:
                    out["cases"].append({"tokenizer": name, "template": family, "conversation": index,
                                         "ids": found["input_ids"]})
            for family, template in MARKED.items():
                found = case(tokenizer, template, messages, add_generation_prompt=prompt,
                             return_assistant_tokens_mask=True)
                out["cases"].append({"tokenizer": name, "template": family, "conversation": index,
                                     "ids": found["input_ids"], "mask": found["assistant_masks"]})
    path = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "tests/golden/tokenizers/chat.json")
    path.write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
