# Half an archive is never taken for a whole one.
cp "$CASES/source.toml" nativo.toml
for i in $(seq 2000); do echo "{\"text\": \"Riga numero $i: $RANDOM $RANDOM $RANDOM\"}"; done | gzip >whole.gz
head -c $(($(stat -c %s whole.gz) / 2)) whole.gz >rows.jsonl
expect 65 ingest -c nativo.toml
says 'rows\.jsonl.*(truncated|too early)'
[ ! -e run/stages/ingest/manifest.json ] || fail "the stage counts as done"
cp whole.gz rows.jsonl
expect 0 ingest -c nativo.toml
manifest ingest "m['rows_out'] == 2000"
