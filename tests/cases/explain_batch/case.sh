# What explain-batch shows of a step is what the training's metrics and the lines themselves say.
model=$SOURCE/tests/golden/transformers/mistral_window
python3 - <<'PYTHON'
import json, random
random.seed(1)
with open("rows.jsonl", "w") as file:
    for i in range(30):
        tokens = [random.randrange(3, 61) for _ in range(random.randrange(5, 90))]
        mask = [random.randrange(2) for _ in tokens]
        file.write(json.dumps({"tokens": tokens, "loss_mask": mask, "id": f"r{i}", "lang": "it"}) + "\n")
PYTHON
options=(--model "$model" --tokens rows.jsonl --set train.seq_len=64 --set train.batch_tokens=256
         --set train.epochs=3 --set train.micro_batch=2)
expect 0 train "${options[@]}" --out out
for step in 1 2 3 4 5 6 7 8 9; do
  expect 0 explain-batch "${options[@]}" --step $step --json
  cat stdout.txt >>batches.jsonl
done
python3 - <<'PYTHON' || fail "the batches are not what was trained on"
import json
metrics = {line["step"]: line for line in map(json.loads, open("out/metrics.jsonl"))}
examples = {line["id"]: line for line in map(json.loads, open("rows.jsonl"))}
seen = set()
for batch in map(json.loads, open("batches.jsonl")):
    line = metrics[batch["step"]]
    assert batch["batch"] == line["batch"] and batch["steps"] == max(metrics)
    trained = 0
    for row in batch["rows"]:
        assert row["used"] <= 64 and row["used"] == sum(len(d["tokens"]) - 1 for d in row["documents"])
        for document in row["documents"]:
            example, begin, count = examples[document["id"]], document["begin"], len(document["tokens"])
            assert document["source"] == "rows" and document["lang"] == "it"
            assert document["tokens"] == example["tokens"][begin:begin + count]
            # The first token of a piece has nothing before it.
            assert document["mask"] == [0] + example["loss_mask"][begin + 1:begin + count]
            assert document["positions"] == list(range(count - 1)) + [None]
            trained += sum(document["mask"])
            if batch["epoch"] == 1: seen.add(document["id"])
    assert trained == line["sources"]["rows"]["targets"], batch["step"]
assert len(seen) > 10
PYTHON
expect 0 explain-batch "${options[@]}" --step 2 --row 1
says '^step 2 of [0-9]+, epoch 1, batch [0-9a-f]{16}: 4 rows'
says '── r[0-9]+  source rows  it  [0-9]+ of [0-9]+ tokens trained'
says '⟦[0-9 ]+⟧'
never_says '^row 2'
expect 0 explain-batch "${options[@]}" --row 1 --ids
says '^as it is planned; no training has taken it yet$'
expect 0 explain-batch "${options[@]}" --out out --step 2
says '^as the training took it$'
expect 0 explain-batch "${options[@]}" --out out --step 2 --set run.seed=2
says '^as it is planned; the training took another batch, [0-9a-f]{16}: its data or options'

# A token whose embedding is no number: its rows spike, and the run goes back and on behind them.
cp -r "$model" poisoned
python3 - <<'PYTHON'
import json, math, random, struct
path = "poisoned/model.safetensors"
data = bytearray(open(path, "rb").read())
size = struct.unpack("<Q", data[:8])[0]
entry = json.loads(data[8:8 + size])["model.embed_tokens.weight"]
width = {"F32": 4, "BF16": 2}[entry["dtype"]]
nan = {4: struct.pack("<f", math.nan), 2: b"\xc0\x7f"}[width]
at = 8 + size + entry["data_offsets"][0] + 2 * entry["shape"][1] * width
data[at:at + width] = nan
open(path, "wb").write(data)
lines = open("rows.jsonl").read().splitlines()
line = json.loads(lines[7])
line["tokens"][1] = 2
lines[7] = json.dumps(line)
open("poisoned.jsonl", "w").write("\n".join(lines) + "\n")
PYTHON
rm -f poisoned/nativo.digests.json
options=("${options[@]/$model/poisoned}")
options=("${options[@]/rows.jsonl/poisoned.jsonl}")
expect 0 train "${options[@]}" --out back --set train.on_spike=rollback --set train.checkpoint_every=2
grep -q '"row_offset"' back/metrics.jsonl || fail "nothing was rolled back"
for step in 1 2 3 4 5 6 7 8 9; do
  expect 0 explain-batch "${options[@]}" --out back --step $step --json
  python3 - $step <<'PYTHON' || fail "step $step took another batch"
import json, sys
batch = json.load(open("stdout.txt"))
line = {line["step"]: line for line in map(json.loads, open("back/metrics.jsonl"))}[int(sys.argv[1])]
assert batch["batch"] == batch["taken"] == line["batch"]
assert batch["row_offset"] == line.get("row_offset", 0)
PYTHON
done
expect 0 explain-batch "${options[@]}" --out back --step 9
says '^as the training took it, [0-9]+ rows further on than planned: rollbacks$'
expect 64 explain-batch "${options[@]}" --step 100000
says 'beyond the last'
expect 64 explain-batch
echo '[run]' >empty.toml
expect 66 explain-batch -c empty.toml
says 'nobody knows the batches'
