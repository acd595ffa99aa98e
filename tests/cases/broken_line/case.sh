# A broken JSON line is rejected with its place; the others go on.
cp "$CASES/source.toml" nativo.toml
{ for i in $(seq 30); do echo "{\"text\": \"Riga numero $i, scritta in buon italiano.\"}"; done
  echo '{"text": "manca la fine'; } >rows.jsonl
expect 0 ingest -c nativo.toml
rejects ingest broken_json 1
manifest ingest "m['rows_in'] == 31 and m['rows_out'] == 30"
rows_balance ingest
zstdcat run/stages/ingest/rejects-*.zst | grep -q 'rows.jsonl:31' || fail "the reject does not name its line"
