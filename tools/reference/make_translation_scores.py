#!/usr/bin/env python3
"""Writes tests/golden/translation/scores.json: BLEU and chrF2 as sacreBLEU computes them.

Needs `pip install sacrebleu`. Usage: tools/reference/make_translation_scores.py [OUT]. Sentences written for this
file, and random ones of the pieces that tokenisers stumble over; each with one to three references. Every set has the
corpus's scores with their parts, and each sentence's. `tokens` are mteval-v13a's for hostile strings.
"""
import json
import pathlib
import random
import sys

import sacrebleu
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

ROOT = pathlib.Path(__file__).resolve().parents[2]
WRITTEN = [
    ("Il gatto dorme sul divano rosso.", ["Il gatto sta dormendo sul divano rosso.", "Un gatto dorme sul divano."]),
    ("Costa 3.500,20 euro, cioè il 12,5% in più!", ["Costa 3.500,20 €, ossia il 12,5% in più.", "Costa di più."]),
    ("L'acqua è già calda: c'è tè?", ["L'acqua è calda, c'è del tè?", "L\u2019acqua è già calda: c\u2019è tè?"]),
    ("", ["Non c'è nulla.", ""]),
    ("Sì.", ["Sì.", "No."]),
    ("Sì", ["Sì certo", "Ma sì"]),
    ("uno due tre", ["uno due tre quattro cinque", "due tre"]),
    ("a b c d e f g", ["a b c d e f g", "g f e d c b a"]),
    ("Prezzo: $5.00 (IVA incl.) -- vedi p. 12-13", ["Prezzo: 5,00 $ (IVA inclusa), pp. 12-13", "Vedi pagina 12"]),
    ("&quot;Ciao&quot; &amp; &lt;addio&gt; <skipped>", ["\"Ciao\" & <addio>", "&amp;quot; ciao"]),
    ("riga una-\nriga due\nriga tre", ["riga unariga due riga tre", "riga una riga due"]),
    ("parole\u00a0unite\u2009da\u3000spazi", ["parole unite da spazi", "parole\u00a0unite"]),
    ("🍒 ciliegie e 東京 e Ω", ["🍒 ciliegie e 東京", "Ω 🍒"]),
    ("ciao   mondo   ", ["ciao mondo", "   ciao mondo"]),
    ("x", ["y", "z"]),
    ("la la la la la la", ["la la", "la la la"]),
]
PIECES = ["il", "gatto", "Perché", "è", "e\u0301", "3.5", "1,000", "12-13", "...", ".", ",", ";", "!", "?", "-", "--", "'",
          "\u2019", "\"", "«", "»", "(", ")", "[x]", "{y}", "~", "`code`", "a_b", "c/d", "@", "#", "$5", "%", "^", "&", "&amp;",
          "&lt;b&gt;", "&quot;", "<skipped>", "\u00a0", "\u2028", "\u3000", "\t", "\x1c", "\x85", "東京", "🍒", "5.", ".5", "a.b",
          "9-a", "a-9", "x" * 40, "\u0130", "ß", "-\n", "\n", "\\", "|", "=", "+", "*"]


def random_text(rng, length):
    return "".join(rng.choice(PIECES) + (" " if rng.random() < 0.6 else "") for _ in range(length))


def mangle(rng, text):
    words = text.split(" ")
    for _ in range(rng.randrange(1, 4)):
        kind = rng.randrange(3)
        place = rng.randrange(len(words))
        if kind == 0:
            del words[place:place + rng.randrange(1, 4)]
        elif kind == 1:
            words.insert(place, rng.choice(PIECES))
        else:
            words[place] = rng.choice(PIECES)
        words = words or [""]
    return " ".join(words)


def score(name, segments):
    hypotheses = [s[0] for s in segments]
    references = [list(r) for r in zip(*(s[1] for s in segments))]
    bleu = BLEU().corpus_score(hypotheses, references)
    chrf = CHRF().corpus_score(hypotheses, references)
    sentence_bleu, sentence_chrf = BLEU(effective_order=True), CHRF()
    return {
        "name": name,
        "segments": [{"hypothesis": h, "references": r,
                      "bleu": sentence_bleu.sentence_score(h, r).score,
                      "chrf": sentence_chrf.sentence_score(h, r).score} for h, r in segments],
        "bleu": {"score": bleu.score, "precisions": bleu.precisions, "brevity_penalty": bleu.bp,
                 "hypothesis_length": bleu.sys_len, "reference_length": bleu.ref_len},
        "chrf": chrf.score,
    }


def main():
    rng = random.Random(20)
    sets = [score("written, two references", WRITTEN),
            score("written, one reference", [(h, r[:1]) for h, r in WRITTEN])]
    for count in (1, 2, 3):
        segments = []
        for _ in range(60):
            text = random_text(rng, rng.randrange(0, 25))
            segments.append((text, [mangle(rng, text) for _ in range(count)]))
        sets.append(score(f"random, {count} references", segments))
    sets.append(score("nothing in common", [("alfa beta gamma", ["uno due tre"]), ("delta", ["quattro"])]))
    sets.append(score("too short for four words", [("uno due tre", ["uno due tre"]), ("sì", ["sì"])]))
    sets.append(score("empty", [("", ["qualcosa"]), ("", ["altro"])]))
    tokenizer = Tokenizer13a()
    texts = [random_text(rng, rng.randrange(1, 30)) for _ in range(100)] + [h for h, _ in WRITTEN]
    tokens = [[t, tokenizer(t.rstrip()).split()] for t in texts]
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "golden" / "translation" / "scores.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"sacrebleu": sacrebleu.__version__, "sets": sets, "tokens": tokens},
                              ensure_ascii=True, indent=None, separators=(",", ":")) + "\n")
    print(f"{out}: {sum(len(s['segments']) for s in sets)} segments, {len(tokens)} tokenised, "
          f"sacrebleu {sacrebleu.__version__}")


if __name__ == "__main__":
    main()
