# One rank under a supervisor on this machine: killed, it is started again and ends with the weights of a
# run that nobody disturbed; status, logs and stop see it from outside.
model=$SOURCE/tests/golden/transformers/mistral_window
python3 - <<'PYTHON'
import json, random
random.seed(1)
with open("counting.jsonl", "w") as file:
    for i in range(60):
        start = random.randrange(50)
        file.write(json.dumps({"tokens": [1] + [3 + (start + k) % 50 for k in range(30)]}) + "\n")
PYTHON
options=(--model "$model" --tokens counting.jsonl --set train.seq_len=64 --set train.batch_tokens=128
         --set train.max_steps=400 --set train.checkpoint_every=10 --set model.dtype=f32)
export OMP_NUM_THREADS=1
supervised=(--set slurm.health_checks=true --set slurm.min_disk_gib=0 --set slurm.min_memory_gib=0
            --set slurm.silence_seconds=3 --nodes 1 --ranks 1)
expect 0 train "${options[@]}" --out whole

lines() { cat out/metrics.jsonl 2>/dev/null | wc -l; }
reach() { for _ in $(seq 600); do [ "$(lines)" -ge "$1" ] && return; sleep 0.05; done; fail "step $1 was not reached"; }
rank() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["pid"])' "out/launch/heartbeats-$1/rank-00000.json"; }

"$NATIVO" train "${options[@]}" --out out "${supervised[@]}" >stdout.txt 2>stderr.txt &
supervisor=$!
reach 15
kill -KILL "$(rank 00001)"
for _ in $(seq 200); do [ -s out/launch/heartbeats-00002/rank-00000.json ] && break; sleep 0.1; done
"$NATIVO" status out >status.txt || fail "status"
grep -q '^job    local, ' status.txt || fail "status says: $(cat status.txt)"
"$NATIVO" status out --json | python3 -m json.tool >/dev/null || fail "status --json"
expect 73 train "${options[@]}" --out out
says 'locked by host'
code=0
if "$NATIVO" stop out >stop.txt 2>&1; then  # unless it is over already
  wait $supervisor || code=$?
  [ "$code" = 75 ] || [ "$code" = 0 ] || fail "exit code $code after stop"
  expect 0 train "${options[@]}" --out out "${supervised[@]}"
else
  wait $supervisor || fail "the supervised run"
fi
cmp whole/model/model.safetensors out/model/model.safetensors || fail "the weights differ"
python3 - <<'PYTHON' || fail "events"
import json
events = [json.loads(line) for line in open("out/events.jsonl")]
fault = next(e for e in events if e["event"] == "fault")
assert "signal 9" in fault["what"], fault
recovery = next(e for e in events if e["event"] == "recovery")
assert recovery["seconds_down"] < 60 and recovery["steps_lost"] >= 0, recovery
PYTHON
expect 0 logs out
[ -s stdout.txt ] || fail "no logs"
expect 66 status nowhere
expect 64 stop out
expect 78 slurm script -c nativo.toml
