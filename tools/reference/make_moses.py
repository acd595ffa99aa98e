#!/usr/bin/env python3
"""Writes tests/golden/moses and src/text/moses_prefixes.txt: what sacremoses and subword-nmt make of texts.

    PEERS/bin/python3 tools/reference/make_moses.py [DATA]

sacremoses 0.1.1 is what Argos Translate 1.11 asks for. With DATA (the real texts that NATIVO_DATA points to) it
also writes real.json, digests of what becomes of whole files. The format is tests/golden/README.md.
"""
import gzip
import hashlib
import io
import json
import pathlib
import random
import sys

from sacremoses import MosesDetokenizer, MosesPunctNormalizer, MosesTokenizer
from sacremoses.corpus import NonbreakingPrefixes
from subword_nmt.apply_bpe import BPE
from subword_nmt.learn_bpe import learn_bpe

ROOT = pathlib.Path(__file__).resolve().parents[2]
PREFIXES_ORIGIN = (
    "# Abbreviations after which a full stop ends no sentence: language, tab, words, tab, words that are such before a number.\n"
    "# These word lists are not nativo's. They are nonbreaking_prefix.* of the Moses project (github.com/moses-smt/mosesdecoder,\n"
    "# scripts/share/nonbreaking_prefixes; LGPL-2.1-or-later, licenses/LGPL-2.1.txt), read from sacremoses 0.1.1 (MIT,\n"
    "# licenses/sacremoses.txt), which distributes them. Only their form was changed, by tools/reference/make_moses.py.\n")
GOLDEN = ROOT / "tests/golden/moses"
COMMON = [
    "", " ", "a", ".", "...", "a..b", "Wait.... what?", "well...", ". . .", "a.b.c. d", "e.g. this", "U.S.A. is", "3.14.", "A. B. Cd.",
    "1,000,000.5, and 3,x y,4 , ,, ,5 5,", "x,", "5,", ",a", "50 % (of it) ; yes : no !", "( a ) ( b ), (c).",
    "e-mail me@example.org or https://example.org/a?b=c#d&e=f", "<b>bold</b> & [x|y] {z}", "a\tb\r\nc\u0007d\u00a0e\u3000f",
    "\u201cQuoted,\u201d he said; \u2018single\u2019 \u2013 dash \u2014 long\u2026 end", "\u00ab\u00a0Bonjour\u00a0\u00bb et \u00abciao\u00bb", "``penn'' style `x'",
    "12\u00a0345 n\u00ba\u00a05 20\u00a0\u00baC 3\u00a0cm 5\u00a0% oui\u00a0! non\u00a0; a,\u00a0b", "snake_case __init__ a_b", "\u20ac5 $10 5\u20ac \u00a33.50",
    "\U0001f35d \U0001f1ee\U0001f1f9 \u2764\ufe0f \u00bd \u00b2 \u2167", "\u65e5\u672c\u8a9e\u306e\u6587\u3002\u6771\u4eac\u30012024\u5e74", "\uc548\ub155 \uc138\uacc4", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e",
    "\u0627\u0644\u0633\u0644\u0627\u0645 \u0639\u0644\u064a\u0643\u0645", "'", "''", "'a' b' 'c d'e 5's '90s rock 'n' roll", "it.' end.'", "She said \"yes.\" \"No,\" \"x\"<b>", "\"a\",. b",
    "x.\" y..\"  z.\"<q .\".\"a", "a@-@b @-@ c", "&amp; &lt;b&gt; &#124; &quot;q&quot;", "C'est l'\u00e9t\u00e9, qu'il", "\u00bfQu\u00e9? \u00a1Hola!", "a\\b / c * d = e ~ f ^ g",
]
TEXTS = {
    "en": ["It's 5 o'clock, isn't it? They're gone; I'd've stayed.", "Mr. Smith met Dr. Jones at No. 5 St. James St. No. he didn't.",
           "The Jones' house and the cats' food cost $3,000.50 (incl. VAT).", "See Fig. 3, pp. 12-14, vol. IV etc. and so on. Rev. 2 etc."],
    "it": ["L'acqua dell'isola non c'\u00e8; quell'uomo \u00e8 un po' stanco.", "Il sig. Rossi e la dott.ssa Bianchi, nati nel '68, abitano al n. 5.",
           "Perch\u00e9 no? \u00abVieni qui!\u00bb, disse l'avv. Verdi. Art. 3 della legge; art. 5, pag. 12.", "Costa 1.234,56 \u20ac (circa il 5 %)..."],
    "es": ["\u00bfC\u00f3mo est\u00e1s? \u00a1Muy bien!, dijo el Sr. Garc\u00eda. La Sra. P\u00e9rez no.", "Lleg\u00f3 a las 3 p.m.; cuesta 1.234,56 \u20ac. \u00abS\u00ed\u00bb.", "EE.UU. y la U.E. firmaron. 'Ojo'"],
    "fr": ["L'\u00e9t\u00e9 d'aujourd'hui\u00a0: qu'est-ce que c'est\u00a0? Rien\u00a0!", "M. Dupont et Mme. Durand, n\u00e9s en '68\u00a0; \u00ab\u00a0oui\u00a0\u00bb, dit-il. 12\u00a0345,6 \u20ac", "J'ai 5\u00a0% d'avance, p. 12, etc. Voil\u00e0."],
    "de": ["Das ist z.B. der 3. Mai; Herr Dr. M\u00fcller sagte: \u201eJa.\u201c Nr. 5 usw. und so.", "Gr\u00f6\u00dfe 1.234,56\u00a0\u20ac, \u00bbNein\u00ab, \u201aeins\u2018."],
    "pt": ["O Sr. Silva n\u00e3o veio; custa R$ 1.234,56. V. Ex.\u00aa n.\u00ba 5"],
    "zh": ["\u4f60\u597d\uff0c\u4e16\u754c\uff01\u8fd9\u662f\u4e2d\u6587\u3002ABC 123 \u4e2d'\u6587"],
    "ja": ["\u6771\u4eac\u30bf\u30ef\u30fc\u306f333m\u3067\u3059\u3002\u300c\u306f\u3044\u300d\u3068\u8a00\u3063\u305f\u3002"],
    "ko": ["\uc548\ub155\ud558\uc138\uc694, \uc138\uacc4! 3\uc6d4 1\uc77c."],
    "sv": ["Hon bor p\u00e5 nr. 5 t.ex. i EU:s huvudstad."],
    "xx": ["No list for this one: Mr. Smith's etc. No. 5"],
}
ATOMS = ["a", "B", "l'", "'", "''", "\"", "`", ".", "..", "...", ",", ";", ":", "!", "?", "-", "--", "(", ")", "[", "]", " ", "  ", "5", "12", "%",
         "\u00a0", "\u00ab", "\u00bb", "\u201c", "\u2019", "\u2026", "\u2013", "\u20ac", "$", "&", "<", ">", "|", "/", "\u00e8", "\u00c9t\u00e9", "Mr", "No", "art", "s", "t", "_", "\u65e5",
         "\u672c", "\U0001f35d", "\u0643", "\u0939", "\u094d", "@-@", "\n", "\u0007", "^", "\\"]


def texts(lang):
    generator = random.Random(lang)
    made = ["".join(generator.choice(ATOMS) for _ in range(generator.randint(1, 14))) for _ in range(60)]
    return COMMON + TEXTS[lang] + made


def tokens_for_joining(lang):
    """Tokens as a translation may have them, in no sensible order."""
    generator = random.Random(lang + "!")
    words = ["il", "L'", "l'", "d'", "\u00e8", "'s", "&apos;s", "&apos;", "&quot;", "'", "\"", "``", "''", "`", "\u201e", "\u201c", "\u201d", ",", ".", "?!", "!", ";", ":", "%",
             "(", ")", "[", "]", "{", "}", "$", "\u20ac", "\u00bf", "\u00a1", "cats", "&amp;", "&lt;b&gt;", "&#91;", "5", "@-@", "\u65e5\u672c", "\u8a9e", "\ud55c", "Jones", "\\", "...", "&amp;lt;"]
    return [[generator.choice(words) for _ in range(generator.randint(1, 12))] for _ in range(60)]


def write_prefixes():
    book = NonbreakingPrefixes()
    lines = []
    for lang in sorted(set(book.available_langs.values())):
        plain, numeric = [], []
        for word in book.words(lang):
            only = word.split()[-1] == "#NUMERIC_ONLY#"
            word = word.rpartition(" ")[0] if only else word
            known = numeric if only else plain
            if word.split() == [word] and word not in known:  # others never equal a word
                known.append(word)
        lines.append(f"{lang}\t{' '.join(plain)}\t{' '.join(numeric)}\n")
    (ROOT / "src/text/moses_prefixes.txt").write_text(PREFIXES_ORIGIN + "".join(lines))


def codes():
    """Codes learned on Pinocchio, and the same in the older format."""
    tokenizer = MosesTokenizer("it")
    lines = [tokenizer.tokenize(line, return_str=True) for line in
             (ROOT / "tests/data/text/pinocchio.txt").read_text().splitlines() if line.strip()]
    out = io.StringIO()
    learn_bpe(io.StringIO("\n".join(lines)), out, 700)
    new = out.getvalue()
    # The older format has the end of a word as a letter of its own.
    lines = new.splitlines()[1:]
    last = sorted({part[:-4] for line in lines for part in line.split() if part.endswith("</w>") and len(part) == 5})
    old = "".join(f"{line}\n" for line in [f"{letter} </w>" for letter in last if letter not in "xz"] + lines)
    return {"0.2": new, "0.1": old}


def bpe_cases():
    words = ("burattino Geppetto falegname Maestro ciliegia perch\u00e9 Perch\u00e9 &apos; &quot; ... a aa aaa aaaa abababab l&apos; dell&apos; x "
             "\u00e8 \u65e5\u672c\u8a9e \U0001f35d\U0001f35d \u00e9\u0301 Pinocchio-Pinocchio precipitevolissimevolmente o r</w> </w> <w").split()
    generator = random.Random(3)
    letters = "aeiou\u00e8\u00e0rstlnpc&;'zk\u65e5"
    words += ["".join(generator.choice(letters) for _ in range(generator.randint(1, 20))) for _ in range(150)]
    result = {}
    for version, text in codes().items():
        (GOLDEN / f"codes-{version}.bpe").write_text(text)
        bpe = BPE(io.StringIO(text))
        result[version] = [[word, bpe.segment_tokens([word])] for word in words]
    return result


def real(data):
    """Digests of whole files: tokens (a space between) and joined text, a line each."""
    def rows(name, column=None):
        path = data / name
        text = gzip.open(path, "rt").read() if name.endswith(".gz") else path.read_text()
        lines = [line for line in text.split("\n") if line]
        return [line.split("\t")[column] for line in lines] if column is not None else lines

    bpe = BPE(io.StringIO((GOLDEN / "codes-0.2.bpe").read_text()))
    result = []
    for name, column, lang in (("parallel_flores/flores-dev.en", None, "en"), ("parallel_flores/flores-dev.it", None, "it"),
                               ("parallel_pud/pud.en-it.tsv", 0, "en"), ("parallel_pud/pud.en-it.tsv", 1, "it")):
        normalizer, tokenizer, joiner = MosesPunctNormalizer(lang), MosesTokenizer(lang), MosesDetokenizer(lang)
        tokens = [tokenizer.tokenize(normalizer.normalize(line)) for line in rows(name, column)]
        digest = {key: hashlib.sha256("".join(line + "\n" for line in lines).encode()).hexdigest() for key, lines in
                  {"tokens": [" ".join(line) for line in tokens], "joined": [joiner.detokenize(line) for line in tokens],
                   "pieces": [" ".join(bpe.segment_tokens(line)) for line in tokens]}.items()}
        result.append(dict(file=name, column=column, lang=lang, lines=len(tokens), **digest))
    return result


def write(name, value):
    (GOLDEN / name).write_text(json.dumps(value, ensure_ascii=False).replace('{"text"', '\n{"text"') + "\n")


def main():
    GOLDEN.mkdir(parents=True, exist_ok=True)
    write_prefixes()
    for lang in TEXTS:
        normalizer, tokenizer, joiner = MosesPunctNormalizer(lang), MosesTokenizer(lang), MosesDetokenizer(lang)
        cases = []
        for text in texts(lang):
            normal = normalizer.normalize(text)
            tokens = tokenizer.tokenize(normal)
            cases.append(dict(text=text, normal=normal, tokens=tokens, raw=tokenizer.tokenize(text), joined=joiner.detokenize(tokens)))
        joined = [dict(text=joiner.detokenize(tokens), tokens=tokens) for tokens in tokens_for_joining(lang)]
        write(f"{lang}.json", dict(cases=cases, joined=joined))
    write("bpe.json", bpe_cases())
    if len(sys.argv) > 1:
        write("real.json", real(pathlib.Path(sys.argv[1])))


if __name__ == "__main__":
    main()
