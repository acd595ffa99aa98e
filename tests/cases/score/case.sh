# Log-probabilities of given tokens, held to the loss that transformers computed for the same model.
model=$SOURCE/tests/golden/transformers/mistral_window
python3 - "$model/batch.json" <<'PYTHON' >rows.jsonl || fail "the golden batch"
import json, sys
batch = json.load(open(sys.argv[1]))
rows = zip(batch["tokens"], batch["targets"])
for tokens, targets in rows:
    line = tokens + [max(targets[-1], 0)]
    print(json.dumps({"tokens": line, "loss_mask": [0] + [int(target >= 0) for target in targets]}))
PYTHON
expect 0 score --model "$model" --tokens rows.jsonl --json
python3 - "$model/batch.json" <<'PYTHON' || fail "another loss than transformers'"
import json, sys
batch = json.load(open(sys.argv[1]))
lines = [json.loads(line) for line in open("stdout.txt")]
assert len(lines) == len(batch["tokens"]) and lines[0]["id"] == "rows.jsonl:1"
for line, tokens, targets in zip(lines, batch["tokens"], batch["targets"]):
    assert len(line["log_probs"]) == len(tokens) + 1 and line["log_probs"][0] is None
    chosen = [p for p, target in zip(line["log_probs"][1:], targets) if target >= 0]
    assert len(chosen) == line["targets"]
    assert abs(line["loss"] + sum(chosen) / len(chosen)) < 1e-9
loss = sum(line["loss"] * line["targets"] for line in lines)
targets = sum(line["targets"] for line in lines)
expected = batch["loss"] * (1 if batch["loss"] < 20 else 1 / targets)
assert abs(loss / targets / expected - 1) < 2e-6, (loss / targets, expected)  # the bar for f32
PYTHON
cp stdout.txt at_once.txt
expect 0 score --model "$model" --tokens rows.jsonl --json --batch-tokens 1
python3 - <<'PYTHON' || fail "what is scored together is not what is scored alone"
import json
for a, b in zip(open("at_once.txt"), open("stdout.txt"), strict=True):
    a, b = json.loads(a), json.loads(b)
    assert all(abs(x - y) < 1e-5 for x, y in zip(a["log_probs"][1:], b["log_probs"][1:]))
PYTHON
expect 0 score --model "$model" --tokens rows.jsonl
says 'mean loss'

# What came before a bad line is scored; the line is named.
{ head -1 rows.jsonl; echo '{"tokens":[1,2,999999]}'; } >bad.jsonl
expect 65 score --model "$model" --tokens bad.jsonl --json
says '"id":"bad.jsonl:1"'
says 'bad.jsonl:2: tokens\[2\] = 999999 is outside the vocabulary'
echo '{"tokens":[1,2],"loss_mask":[1]}' >bad.jsonl
expect 65 score --model "$model" --tokens bad.jsonl
says 'bad.jsonl:1: 2 tokens but a loss_mask of 1'
echo '{"tokens":[1,2],"mask":[1]}' >bad.jsonl
expect 65 score --model "$model" --tokens bad.jsonl
says 'unknown key "mask"'
echo '{"tokens":[]}' >empty.jsonl
expect 0 score --model "$model" --tokens empty.jsonl --json
says '"loss":null'
expect 66 score --model "$model" --tokens none.jsonl
