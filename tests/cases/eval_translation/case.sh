# BLEU and chrF2 from the command line: sacreBLEU's numbers for a golden set, in every form that is read.
python3 - "$SOURCE/tests/golden/translation/scores.json" <<'PYTHON' || fail "the golden set"
import json, sys
golden = next(s for s in json.load(open(sys.argv[1]))["sets"] if s["name"] == "written, two references")
segments = [s for s in golden["segments"] if "\n" not in s["hypothesis"] + "".join(s["references"])]
with open("h.txt", "w", newline="\n") as h, open("a.txt", "w", newline="\n") as a, open("b.txt", "w", newline="\n") as b, \
     open("h.jsonl", "w") as lines:
    for s in segments:
        print(s["hypothesis"], file=h)
        print(s["references"][0], file=a)
        print(s["references"][1], file=b)
        print(json.dumps(s), file=lines)
PYTHON
expect 0 eval translation h.txt --ref a.txt --ref b.txt --json --segments
python3 - "$SOURCE/tests/golden/translation/scores.json" <<'PYTHON' || fail "not sacreBLEU's sentence scores"
import json, sys
golden = next(s for s in json.load(open(sys.argv[1]))["sets"] if s["name"] == "written, two references")
segments = [s for s in golden["segments"] if "\n" not in s["hypothesis"] + "".join(s["references"])]
system = json.load(open("stdout.txt"))["systems"][0]
assert system["segments"] == len(segments) == len(system["per_segment"])
for mine, theirs in zip(system["per_segment"], segments):
    assert abs(mine["bleu"] - theirs["bleu"]) < 1e-9 and abs(mine["chrf"] - theirs["chrf"]) < 1e-9
assert system["bleu"]["low"] <= system["bleu"]["score"] <= system["bleu"]["high"]
assert system["bleu"]["signature"].startswith("nrefs:2|bs:1000|seed:1234|case:mixed|eff:no|tok:13a|smooth:exp|version:nativo")
json.dump([system["bleu"]["score"], system["chrf"]["score"]], open("scores.json", "w"))
PYTHON
expect 0 eval translation h.jsonl --json --resamples 0
python3 - <<'PYTHON' || fail "JSON lines are scored otherwise than lines"
import json
system = json.load(open("stdout.txt"))["systems"][0]
assert [system["bleu"]["score"], system["chrf"]["score"]] == json.load(open("scores.json")), system
assert "low" not in system["bleu"]
PYTHON

# Two systems: the second is the reference itself.
expect 0 eval translation h.txt a.txt --ref a.txt
says 'beside the first'
says '100.00'
says 'chrF2 nrefs:1'

# What does not fit is refused.
head -3 a.txt >short.txt
expect 65 eval translation h.txt --ref short.txt
says 'h.txt has '
expect 66 eval translation h.txt --ref nowhere.txt
expect 64 eval translation h.txt
says 'give --ref'
