# shellcheck shell=bash disable=SC2154,SC1010
# Words for the scenarios: a run on a cluster of its own, something that happens to it, and what must be
# true afterwards. Sourced by run_scenario, which sets $nativo, $prepared and $work (all absolute).
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
run=$work/run
export CLUSTER_ROOT=$work/slurm CLUSTER_PORT=${CLUSTER_PORT:-17200} CLUSTER_NODES=3
export SLURM_CONF=$CLUSTER_ROOT/slurm.conf OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
cluster=$here/cluster

fail() {
  echo "FAILED: $*" >&2
  for file in "$run"/launch/supervisor.log "$run"/launch/deputies.log "$run"/launch/ranks-*.log "$run"/train/events.jsonl; do
    [ -s "$file" ] && { echo "--- $file" >&2; tail -n 25 "$file" >&2; }
  done
  squeue >&2 2>/dev/null
  exit 1
}

now() { date +%s.%N; }

# await SECONDS WHAT COMMAND...: polls until the command succeeds.
await() {
  local until=$((SECONDS + $1)) what=$2
  shift 2
  while ! "$@"; do
    [ "$SECONDS" -lt "$until" ] || fail "waited in vain: $what"
    sleep 0.1
  done
}

# json FILE EXPRESSION: prints a Python expression over `j`, the file's content.
json() { python3 -c 'import json,sys; j = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2" 2>/dev/null; }

# events EXPRESSION: the same over `e`, the list of the training's events.
events() {
  python3 -c 'import json,sys
e = [json.loads(line) for line in open(sys.argv[1])]
print(eval(sys.argv[2]))' "$run/train/events.jsonl" "$1"
}

step() { tail -n 1 "$run/train/metrics.jsonl" 2>/dev/null | grep -o '^{"step":[0-9]*' | cut -d: -f2 || true; }
step_reached() { local at; at=$(step); [ -n "$at" ] && [ "$at" -ge "$1" ]; }
state() { json "$run/launch/supervisor.json" 'j["state"]'; }
state_is() { [ "$(state)" = "$1" ]; }
newest_checkpoint() { find "$run/train/checkpoints" -maxdepth 1 -name 'step-????????' 2>/dev/null | sort | tail -n 1; }
checkpoint_step() { local name; name=$(basename "$(newest_checkpoint)"); echo $((10#0${name#step-})); }

# configure LINES: a run whose data are ready, with these further lines of [slurm].
configure() {
  mkdir -p "$run"
  find "$prepared/run" -mindepth 1 -maxdepth 1 ! -name train ! -name launch -exec cp -r {} "$run" \;
  sed "s|^dir = .*|dir = \"$run\"|" "$prepared/nativo.toml" >"$work/nativo.toml"
  { echo "[slurm]"; echo 'silence_seconds = 5'; echo 'connect_seconds = 20'; echo 'min_disk_gib = 0'; echo 'min_memory_gib = 0'; echo "$1"; } >>"$work/nativo.toml"
}

cluster_up() {
  trap '"$cluster" down' EXIT
  "$cluster" up >"$work/cluster.log" 2>&1 || { cat "$work/cluster.log" >&2; exit 1; }
}

submit() {
  job=$("$nativo" slurm submit -c "$work/nativo.toml" --verb train "$@" | sed -n 's/^job //p')
  [ -n "$job" ] || fail "submit"
}

# rank_pids: this machine's numbers of the processes that train.
rank_pids() {
  local process
  for process in /proc/[0-9]*; do
    [ "$(readlink "$process/exe" 2>/dev/null)" = "$nativo" ] || continue
    tr '\0' ' ' <"$process/cmdline" 2>/dev/null | grep -q " train -c $run/launch/nativo.toml" && echo "${process#/proc/}"
  done
  return 0
}

# node_of PID: the node on which a process of this machine runs; ranks_of NODE: the ranks there.
node_of() { nsenter --target "$1" --uts hostname; }
ranks_of() {
  local pid
  for pid in $(rank_pids); do [ "$(node_of "$pid")" != "$1" ] || echo "$pid"; done
}
# one_rank: a rank on n3, which is never the supervisor's node.
one_rank() { ranks_of n3 | tail -n 1; }

# at_step N: waits until the run has done so many steps, and remembers what is saved by then.
at_step() {
  await 120 "step $1" step_reached "$1"
  saved=$(checkpoint_step)
}

job_is_gone() { squeue -h -o %i >"$work/queue" 2>/dev/null && [ ! -s "$work/queue" ]; }
finished() { state_is done || state_is failed || job_is_gone; }

# ends_well [SECONDS]: waits for the run's end.
ends_well() {
  await "${1:-180}" "the end of the run" finished
  await 5 "the supervisor's last word" sh -c "grep -q '\"state\": \"\(done\|failed\)' '$run/launch/supervisor.json'"
  state_is done || fail "the run ended $(state): $(json "$run/launch/supervisor.json" 'j.get("message")')"
}

# finish [SECONDS]: the same, and holds its weights against an undisturbed run's, bit for bit.
finish() {
  ends_well "${1:-180}"
  cmp "$prepared/run/train/model/model.safetensors" "$run/train/model/model.safetensors" ||
    fail "the weights are not those of an undisturbed run"
}

# finish_close [SECONDS]: the same for a run that went on on another grid, whose sums have another order.
finish_close() {
  ends_well "${1:-180}"
  python3 - "$prepared"/run/train/checkpoints/*/model.safetensors "$run"/train/checkpoints/*/model.safetensors <<'PYTHON' ||
import array, json, struct, sys
def values(path):
    data = open(path, 'rb').read()
    head = struct.unpack('<Q', data[:8])[0]
    tensors = {k: v for k, v in json.loads(data[8:8 + head]).items() if k != '__metadata__'}
    assert all(t['dtype'] == 'F32' for t in tensors.values())
    return array.array('f', data[8 + head:])
last = {path.split('/')[-2]: [] for path in sys.argv[1:]}
for path in sys.argv[1:]: last[path.split('/')[-2]].append(path)
a, b = (values(path) for path in last[max(last)])
worst = max(abs(x - y) for x, y in zip(a, b))
moved = max(abs(x) for x in a)
print('largest difference of a weight: %.1e of %.2f' % (worst, moved))
# Sums in f32 in another order: AdamW's sign-like updates turn it into some share of the rate of 1e-5.
sys.exit(len(a) != len(b) or worst > 1e-4 * moved)
PYTHON
    fail "the weights are far from those of an undisturbed run"
}

# recovered FAULTS WORDS LIMIT: so many recoveries, the first fault described by these words, none of the
# steps that were saved done again, and training again within LIMIT seconds. Prints what was measured.
recovered() {
  local facts
  facts=$(events "[x for x in e if x['event'] == 'recovery']")
  [ "$(events "sum(x['event'] == 'recovery' for x in e)")" = "$1" ] || fail "not $1 recoveries: $facts"
  events "[x['what'] for x in e if x['event'] == 'fault']" | grep -qE -- "$2" ||
    fail "no fault says \"$2\": $(events "[x['what'] for x in e if x['event'] == 'fault']")"
  [ "$(events "min(x['step'] for x in e if x['event'] == 'recovery')")" -ge "$saved" ] ||
    fail "step $saved was saved, but: $facts"
  local down
  down=$(events "round(max(x['seconds_down'] for x in e if x['event'] == 'recovery'), 1)")
  events "'%s: down %.1f s, detected after %.1f s, %d steps done again' % (sys.argv[0] and '$name',
    max(x['seconds_down'] for x in e if x['event'] == 'recovery'),
    [x['detected_after'] for x in e if x['event'] == 'fault'][0],
    sum(x['steps_lost'] for x in e if x['event'] == 'recovery'))"
  python3 -c "import sys; sys.exit($down > $3)" || fail "down for $down s, more than $3 s"
}
