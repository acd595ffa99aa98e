# A model folder and pre-tokenised lines in, a model folder out; again, nothing is done twice.
model=$SOURCE/tests/golden/transformers/mistral_window
python3 - <<'PYTHON'
import json, random
random.seed(1)
def lines(name, count, source):
    with open(name, "w") as file:
        for i in range(count):
            start, stride = random.randrange(50), 1 + random.randrange(2)
            tokens = [1] + [3 + (start + k * stride) % 50 for k in range(random.randrange(6, 40))]
            mask = [0] * 3 + [1] * (len(tokens) - 3)
            file.write(json.dumps({"tokens": tokens, "loss_mask": mask, **source}) + "\n")
lines("counting.jsonl", 60, {})
lines("named.jsonl", 20, {"source": "named", "lang": "it"})
lines("heldout.jsonl", 10, {})
PYTHON
options=(--model "$model" --tokens counting.jsonl named.jsonl --heldout heldout.jsonl
         --set train.seq_len=64 --set train.batch_tokens=256 --set train.micro_batch=2
         --set train.epochs=4 --set train.lr=1e-2 --set train.checkpoint_every=10 --set model.dtype=f32)
expect 0 train "${options[@]}" --out out
says '^out/model$'
for file in model/config.json model/model.safetensors metrics.jsonl events.jsonl summary.json; do
  [ -s out/$file ] || fail "no $file"
done
ls out/tensorboard/events.out.tfevents.* >/dev/null || fail "nothing for TensorBoard"
python3 - <<'PYTHON' || fail "the metrics"
import json
lines = [json.loads(line) for line in open("out/metrics.jsonl")]
assert [line["step"] for line in lines] == list(range(len(lines))) and len(lines) > 20
assert lines[-1]["eval_loss"] < lines[0]["eval_loss"] - 0.3, (lines[0], lines[-1])
for line in lines[1:]:
    sources = line["sources"]
    assert set(sources) <= {"counting", "named"}
    targets = sum(source["targets"] for source in sources.values())
    mean = sum(source["loss"] * source["targets"] for source in sources.values()) / targets
    assert abs(mean - line["loss"]) < 1e-6 * line["loss"]
assert {name for line in lines[1:] for name in line["sources"]} == {"counting", "named"}
PYTHON
expect 0 score --model out/model --tokens heldout.jsonl
says 'mean loss'

expect 0 train "${options[@]}" --out out
says 'reused'
# How checkpoints are kept is no other training: the finished one is taken up, no step is run again.
cp out/metrics.jsonl metrics.before
expect 0 train "${options[@]}" --out out --set train.keep=3 --set train.background_checkpoints=false
cmp -s out/metrics.jsonl metrics.before || fail "trained again because of train.keep"
expect 0 train "${options[@]}" --out out --set train.lr=2e-2
says 'the model, the data or the options changed'
expect 0 train "${options[@]}" --out adapted --set train.method=lora --set lora.rank=2
[ -s adapted/adapter/adapter_model.safetensors ] && [ -s adapted/model/model.safetensors ] || fail "no adapter"

expect 64 train --tokens counting.jsonl --out other
says 'needs --model and --output'
expect 64 train
expect 66 train --model "$model" --tokens none.jsonl --out other
echo '{"tokens":[1,2,61]}' >bad.jsonl
expect 65 train --model "$model" --tokens bad.jsonl --out other
says 'bad.jsonl:1: tokens\[2\] = 61 is outside the vocabulary of 61'
