# Too many broken rows mean a wrong file, not a few bad rows.
cp "$CASES/source.toml" nativo.toml
{ for i in $(seq 10); do echo 'not json'; done; echo '{"text": "Una riga buona, scritta in italiano."}'; } >rows.jsonl
expect 65 ingest -c nativo.toml
says 'rows\.jsonl:1'
expect 0 ingest -c nativo.toml --set ingest.max_broken=1.0
rejects ingest broken_json 10
