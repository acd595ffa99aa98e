# Texts to tokens and back, held to what Hugging Face tokenizers makes of the same file.
python3 - "$SOURCE/tests/golden/tokenizers/llama3.json" <<'PYTHON' || fail "the golden file"
import json, sys
golden = json.load(open(sys.argv[1]))
json.dump(golden["tokenizer"], open("tokenizer.json", "w"))
lines = [i for i, text in enumerate(golden["texts"]) if "\n" not in text and "\r" not in text]
open("texts.txt", "w", newline="").write("".join(golden["texts"][i] + "\n" for i in lines))
json.dump([golden["cases"][i] for i in lines], open("cases.json", "w"))
PYTHON
input=texts.txt expect 0 tokenize -m tokenizer.json --json --special
python3 - <<'PYTHON' || fail "other tokens than Hugging Face's"
import json
cases = json.load(open("cases.json"))
lines = [json.loads(line) for line in open("stdout.txt")]
assert len(lines) == len(cases)
for line, case in zip(lines, cases):
    assert line["tokens"] == case["ids"], (line, case)
    assert len(line["pieces"]) == len(line["offsets"]) == len(case["ids"])
open("ids.txt", "w").write("".join(json.dumps(case["ids"]) + "\n" for case in cases))
PYTHON
input=ids.txt expect 0 tokenize -m . --decode --json
python3 - <<'PYTHON' || fail "another text than Hugging Face's"
import json
for line, case in zip(open("stdout.txt"), json.load(open("cases.json")), strict=True):
    assert json.loads(line)["text"] == case["skip"]
PYTHON

printf 'ciao <s>' >text.txt
input=text.txt expect 0 tokenize -m tokenizer.json
says '0-3  cia'
input=text.txt expect 0 tokenize -m tokenizer.json --special --add-special --whole
says '5-8  <s>'
echo '1 x' >ids.txt
input=ids.txt expect 65 tokenize -m tokenizer.json --decode
says 'line 1: "x" is no token id'
echo 999999 >ids.txt
input=ids.txt expect 65 tokenize -m tokenizer.json --decode
says 'outside the vocabulary'

# What is not known is refused by its name, never skipped.
sed 's/"type": "BPE"/"type": "BPX"/' tokenizer.json >bad.json
input=text.txt expect 65 tokenize -m bad.json
says 'model.type: "BPX" is not supported'
input=text.txt expect 66 tokenize -m none
