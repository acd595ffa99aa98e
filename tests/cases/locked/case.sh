# Two runs in one folder: the second one says who holds it.
cp "$CASES/source.toml" nativo.toml
for i in $(seq 30); do echo "{\"text\": \"Riga numero $i, scritta in buon italiano.\"}"; done >rows.jsonl
mkdir run
( exec 9>>run/run.lock; flock 9; exec sleep 20 ) &
holder=$!
sleep 0.3
expect 73 ingest -c nativo.toml
says 'run: the run folder is locked by'
says 'hint: '
kill "$holder"
wait "$holder" 2>/dev/null
expect 0 ingest -c nativo.toml
