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
expect 64 explain-batch "${options[@]}" --step 100000
says 'beyond the last'
expect 64 explain-batch
echo '[run]' >empty.toml
expect 66 explain-batch -c empty.toml
says 'nobody knows the batches'
