# What examples/README.md says of the embedded data is true.
python3 - "$SOURCE/examples/quickstart" <<'PYTHON' || fail "the embedded data is not what examples/README.md says"
import glob, json, re, sys

root = sys.argv[1]
rows = lambda path: [json.loads(line) for line in open(path, encoding="utf-8")]
words = lambda text: re.findall(r"\w+", text.lower())
grams = lambda text, n=8: {tuple(w[i:i + n]) for w in [words(text)] for i in range(len(w) - n + 1)}

english = {path: rows(path) for path in glob.glob(f"{root}/english/*.jsonl")}
assert len(english) == 8 and sum(map(len, english.values())) == 256, {k: len(v) for k, v in english.items()}
passages = [r["text"] for name in "ab" for r in rows(f"{root}/italian/passages-{name}.jsonl")]
pages = [open(path, encoding="utf-8").read() for path in glob.glob(f"{root}/italian/pages/*.md")]
assert len(passages) == 180 and len(pages) == 12 and len(rows(f"{root}/italian/scraped.jsonl")) == 16
seen = set().union(*map(grams, passages + pages + [r["text"] for r in rows(f"{root}/italian/scraped.jsonl")]))
for name in ("nextword", "commonsense", "qa"):
    for row in rows(f"{root}/eval/{name}.jsonl"):
        shared = grams(" ".join(map(str, row.values()))) & seen
        assert not shared, (name, shared)
PYTHON
