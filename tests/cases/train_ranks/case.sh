# nativo train under mpirun: the same training on one process and on several, stopped by a kill and
# gone on with another number of them.
command -v mpirun >/dev/null || { echo "skipped: mpirun is missing (openmpi-bin)"; exit 77; }
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMP_NUM_THREADS=1
model=$SOURCE/tests/golden/transformers/mistral_window
python3 - <<'PYTHON'
import json, random
random.seed(1)
with open("counting.jsonl", "w") as file:
    for i in range(80):
        start, stride = random.randrange(50), 1 + random.randrange(2)
        tokens = [1] + [3 + (start + k * stride) % 50 for k in range(random.randrange(6, 40))]
        file.write(json.dumps({"tokens": tokens, "loss_mask": [0] * 3 + [1] * (len(tokens) - 3)}) + "\n")
PYTHON
options=(--model "$model" --tokens counting.jsonl --heldout counting.jsonl
         --set train.seq_len=64 --set train.batch_tokens=512 --set train.micro_batch=2
         --set train.lr=1e-3 --set train.checkpoint_every=2 --set model.dtype=f32 --set train.epochs=1
         --set train.max_steps=6 --set train.eps=1e-5)
ranks() {
  local count=$1
  shift
  mpirun -n "$count" --oversubscribe --bind-to none "$NATIVO" "$@" >stdout.txt 2>stderr.txt ||
    fail "nativo under mpirun -n $count"
}
expect 0 train "${options[@]}" --out one
ranks 2 train "${options[@]}" --out two
[ "$(cat stdout.txt)" = two/model ] || fail "one rank alone says where the model is"
ranks 4 train "${options[@]}" --out four --set dist.zero=0
NATIVO_RANKS_PER_NODE=2 ranks 4 train "${options[@]}" --out nodes --set dist.zero=2
ranks 4 train "${options[@]}" --out grid --set dist.tensor=2 --set dist.zero=3
ranks 2 train "${options[@]}" --out auto --set dist.grid=auto
grep -q "dist.zero=1 dist.tensor=1" stderr.txt || fail "the grid is not said"

# Saved by four, gone on with by three and by one.
cp -r four three
rm -rf three/model three/checkpoints/step-00000006
cp -r three alone
ranks 3 train "${options[@]}" --out three
expect 0 train "${options[@]}" --out alone
says "resuming after step 4 of 6"

python3 - one two four nodes grid auto three alone <<'PYTHON' || fail "the losses"
import json, sys
def losses(folder):
    lines = [json.loads(line) for line in open(f"{folder}/metrics.jsonl")]
    assert [line["step"] for line in lines] == list(range(7)), folder
    return [line[key] for line in lines for key in ("loss", "eval_loss", "grad_norm") if key in line]
reference = losses(sys.argv[1])
for folder in sys.argv[2:]:
    for mine, other in zip(losses(folder), reference, strict=True):
        assert abs(mine - other) < 1e-6 * abs(other), (folder, mine, other)
PYTHON
expect 0 score --model four/checkpoints/step-00000006 --tokens counting.jsonl
expect 0 score --model grid/model --tokens counting.jsonl
ranks 2 train "${options[@]}" --out lora --set train.method=lora --set dist.tensor=2
expect 0 score --model lora/model --tokens counting.jsonl

# A rank that is killed takes the others with it; gone on with, the bits are those of a run that was not.
long=("${options[@]}" --set train.max_steps=400 --set train.checkpoint_every=20)
ranks 3 train "${long[@]}" --out through
mpirun -n 3 --oversubscribe --bind-to none "$NATIVO" train "${long[@]}" --out killed >/dev/null 2>&1 &
launcher=$!
until ls killed/checkpoints/step-*/manifest.json >/dev/null 2>&1; do
  kill -0 "$launcher" 2>/dev/null || fail "ended before a rank was killed"
  sleep 0.05
done
kill -9 "$(pgrep -P "$launcher" | tail -1)"
wait "$launcher" && fail "a killed rank went unnoticed"
ranks 3 train "${long[@]}" --out killed
says "resuming after step"
cmp through/model/model.safetensors killed/model/model.safetensors || fail "other bits after a kill"
