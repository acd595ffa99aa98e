# Every shape, plain, gzip, zstd and as an array, ends in the same records.
cat >rows.jsonl <<'ROWS'
{"messages": [{"role": "user", "content": "Come ti chiami?"}, {"role": "assistant", "content": "Mi chiamo Anna."}]}
{"instruction": "Come ti chiami?", "input": "", "output": "Mi chiamo Anna."}
{"question": "Come ti chiami?", "answer": "Mi chiamo Anna."}
{"prompt": "Come ti chiami?", "completion": "Mi chiamo Anna."}
{"conversations": [{"from": "human", "value": "Come ti chiami?"}, {"from": "gpt", "value": "Mi chiamo Anna."}]}
{"message_tree_id": "t", "prompt": {"text": "Come ti chiami?", "role": "prompter", "replies": [{"text": "Mi chiamo Anna.", "role": "assistant", "replies": []}]}}
ROWS
mkdir data
cp rows.jsonl data/a.jsonl
gzip -c rows.jsonl >data/b.jsonl.gz
zstd -q rows.jsonl -o data/c.jsonl.zst
python3 -c "import json; print(json.dumps([json.loads(l) for l in open('rows.jsonl')]))" >data/d.json
printf -- '---\ntitle: via\n---\n\n# Titolo\n\nUn testo in Markdown.\n' >data/e.md
sed 's#rows.jsonl#data#' "$CASES/source.toml" >nativo.toml
expect 0 ingest -c nativo.toml
rows_balance ingest
manifest ingest "m['rows_out'] == 25"
ids=$(zstdcat run/stages/ingest/records-*.zst | grep '"messages"' | grep -o '^{"id":"[0-9a-f]*"' | sort -u | wc -l)
[ "$ids" = 1 ] || fail "$ids different contents instead of 1"
! zstdcat run/stages/ingest/records-*.zst | grep -q 'title: via' || fail "front matter was kept"
