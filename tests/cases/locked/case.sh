# Two runs in one folder: the second one says who holds it.
cp "$CASES/source.toml" nativo.toml
for i in $(seq 30); do echo "{\"text\": \"Riga numero $i, scritta in buon italiano.\"}"; done >rows.jsonl
mkdir run
printf 'host testhost\npid 4242\n' >run/run.lock
flock run/run.lock sleep 20 &
holder=$!
sleep 0.3
expect 73 ingest -c nativo.toml
says 'run\.lock|run folder|locked|held'
kill "$holder"; wait "$holder" 2>/dev/null
pkill -P "$holder" sleep 2>/dev/null
flock run/run.lock true
expect 0 ingest -c nativo.toml
