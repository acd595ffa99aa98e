# A line that is not UTF-8 is rejected, and what is written about it is UTF-8.
cp "$CASES/source.toml" nativo.toml
{ for i in $(seq 30); do echo "{\"text\": \"Riga numero $i, scritta in buon italiano.\"}"; done
  printf '{"text": "perch\xe9 no"}\n'; } >rows.jsonl
expect 0 ingest -c nativo.toml
rejects ingest invalid_utf8 1
rows_balance ingest
zstdcat run/stages/ingest/rejects-*.zst | iconv -f utf-8 -t utf-8 >/dev/null || fail "rejects are not UTF-8"
