# A full disk ends the run with 75 and loses nothing; with space it continues.
cp "$CASES/source.toml" nativo.toml
for i in $(seq 20000); do echo "{\"text\": \"Riga $i: $RANDOM $RANDOM $RANDOM $RANDOM $RANDOM\"}"; done >rows.jsonl
code=0
( ulimit -f 64; "$NATIVO" ingest -c nativo.toml >stdout.txt 2>stderr.txt ) || code=$?
[ "$code" = 75 ] || fail "exit code $code instead of 75"
says 'hint: .*space'
[ ! -e run/stages/ingest/manifest.json ] || fail "the stage counts as done"
expect 0 ingest -c nativo.toml
manifest ingest "m['rows_out'] == 20000"
rows_balance ingest
[ "$(ls run/stages | wc -l)" = 1 ] || fail "leftovers in run/stages: $(ls run/stages)"
