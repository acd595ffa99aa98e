"""Writes golden.json: what lm-evaluation-harness makes of rows, and Python of answers.

Not part of any build. Needs lm_eval's task files (pip download lm_eval==0.4.13 --no-deps, unzip):
    python3 make_golden.py FOLDER_WITH_lm_eval > golden.json
"""
import collections
import json
import re
import string
import sys


def module(root, path):
    source = open(f"{root}/lm_eval/tasks/{path}").read().replace("import datasets", "")
    source = source.split("def process_docs")[0]
    names = {}
    exec(compile(source, path, "exec"), names)
    return names


def normalize(text):
    text = text.lower()
    text = "".join(c for c in text if c not in set(string.punctuation))
    articles = r"\b(il|lo|la|i|gli|le|un|uno|una|del|dello|della|dei|degli|delle)\b"
    return " ".join(re.sub(articles, " ", text).split())


def f1(answer, gold):
    a, g = normalize(answer).split(), normalize(gold).split()
    same = sum((collections.Counter(a) & collections.Counter(g)).values())
    return 2 * same / (len(a) + len(g)) if same else 0.0


xcopa = module(sys.argv[1], "xcopa/utils.py")
okapi = module(sys.argv[1], "okapi/arc_multilingual/utils.py")
out = {"commonsense": [], "next_word": [], "multiple_choice": [], "cloze": [], "normalize": [],
       "f1": [], "first_sentence": [], "clean": []}

for premise, first, second, question, label in [
        ("Le luci della casa si spensero.", "Era arrivata la posta.", "È mancata la corrente.", "cause", 1),
        ("  Il bimbo corse sul bagnato!\n", "Scivolò.", "Àncora gettata.", "effect", 0),
        ("Senza punto finale", "ŒUVRE", "'Sera,' disse.", "effect", 1),
        ("Finì col «perché»", "İstanbul è lontana.", "ßtrano.", "cause", 0)]:
    row = dict(premise=premise, choice1=first, choice2=second, question=question, label=label)
    out["commonsense"].append({"row": row, "prompt": xcopa["doc_to_text_it"](row),
                               "choices": xcopa["doc_to_choice"](row), "gold": label})

for text in ["Rendimi la mia parrucca", "un  doppio spazio", "— disse l'oste: «bevi!»", "a\nb c\u00a0d"]:
    words = text.split(" ")
    out["next_word"].append({"row": {"text": text}, "prompt": " ".join(words[:-1]),
                             "target": " " + words[-1]})

options = dict(option_a="Roma", option_b=" Milano ", option_c="Torino [ex capitale]", option_d="Bari")
row = dict(instruction="  Qual è la capitale [d'Italia] oggi [title]dunque?\n", answer="A", **options)
out["multiple_choice"].append({
    "row": row, "choices": ["A", "B", "C", "D"], "gold": 0,
    "prompt": "{}\nA. {}\nB. {}\nC. {}\nD. {}\nAnswer:".format(
        row["instruction"].strip(), *options.values())})
out["cloze"].append({
    "row": row, "gold": 0, "choices": [okapi["preprocess"](o) for o in options.values()],
    "prompt": "Question: " + okapi["preprocess"](row["instruction"]) + "\nAnswer:"})

for text in ["L'oro", "Il gatto, la volpe e gli altri", "«Il» Signore", "DELLA  Perù\u00a0è\tqui", "i",
             "un'altra", "dell'Organizzazione", "il_lo", "ΑΣ ΟΔΟΣ", "l’oro", "1.500 €", "¿la?", "delle-le",
             "Illo", "il²la", "lo\u0301", "\u2003gli\u2028le", "...", "İl"]:
    out["normalize"].append([text, normalize(text)])
for answer, gold in [("il gatto nero", "un gatto"), ("gatto gatto", "gatto"), ("cane", "gatto"),
                     ("nel cortile della vecchia filanda", "cortile della filanda"), ("", "gatto")]:
    out["f1"].append([answer, gold, f1(answer, gold)])
for text in [" Roma. È la capitale.", "Roma", ".Roma", " a\nb. c", "3.5 km", "\u00a0Sì \n"]:
    found = re.findall(r"^([^.]*)", text)
    out["first_sentence"].append([text, found[0].strip()])
for text in [" a [title] b  c ", "[x]y[z", "a [b\nc] d", "a    b", "[[a] b]"]:
    out["clean"].append([text, okapi["preprocess"](text)])
json.dump(out, sys.stdout, ensure_ascii=False, indent=1)
print()
