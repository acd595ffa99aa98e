# --set changes one option; the lock file says what was used; plan says why.
cp "$CASES/source.toml" nativo.toml
for i in $(seq 30); do echo "{\"text\": \"Riga numero $i, scritta in buon italiano.\"}"; done >rows.jsonl
cp rows.jsonl other.jsonl
head -20 other.jsonl >fewer.jsonl
expect 0 ingest -c nativo.toml
expect 0 ingest -c nativo.toml
says 'ingest +reused'
expect 0 ingest -c nativo.toml --set source.mine.limit=7
says 'ingest +done'
manifest ingest "m['rows_out'] == 7"
grep -q '^limit = 7' run/nativo.lock.toml || fail "the lock file does not have the override"
expect 0 plan -c nativo.toml --set source.mine.limit=9
says 'ingest +run +source\.mine\.limit 7 -> 9'
