# A source without rows is a mistake, not an empty data set.
cp "$CASES/source.toml" nativo.toml
: >rows.jsonl
expect 65 ingest -c nativo.toml
says 'source\.mine|"mine"|mine'
says 'empty|no rows|no records'
