# Ctrl-C in the middle of training: exit code 75; the same command continues and ends with the weights
# of a run that was never stopped. kill -9 too.
cp -r "$SOURCE"/examples/quickstart/{english,italian,eval} .
cp "$CASES/mini.toml" nativo.toml
steps="--set train.max_steps=40 --set train.checkpoint_every=5"
expect 0 run -c nativo.toml $steps
mv run whole
cp -r whole run
rm -rf run/train run/eval run/report.html

for signal in INT KILL TERM; do
  "$NATIVO" run -c nativo.toml $steps >stdout.txt 2>stderr.txt &
  pid=$!
  for _ in $(seq 300); do
    [ "$(cat run/train/metrics.jsonl 2>/dev/null | wc -l)" -ge "$((${done_steps:-0} + 7))" ] && break
    sleep 0.1
  done
  kill -$signal $pid
  code=0
  wait $pid || code=$?
  [ $signal = KILL ] || [ $code = 75 ] || fail "exit code $code after SIG$signal"
  done_steps=$(wc -l <run/train/metrics.jsonl)
  [ "$done_steps" -lt 40 ] || fail "training was over before the signal came"
done
expect 0 run -c nativo.toml $steps
says 'mix +reused'
cmp whole/train/model/model.safetensors run/train/model/model.safetensors || fail "resumed weights differ"
[ "$(grep -c '"loss"' run/train/metrics.jsonl)" = 40 ] || fail "metrics.jsonl has not one line a step"
