# A stage alone on a file: protected spans come out byte for byte.
cat >rows.jsonl <<'ROWS'
{"instruction": "Write a function.", "output": "Use `len(x)` here:\n\n```python\ndef f(x):\n    return len(x)  # the length\n```\n\nSee https://example.org/docs?a=1 and call {name} with %s and 3.14."}
{"question": "What is the area of a circle?", "answer": "The area is $A = \\pi r^2$."}
ROWS
expect 0 translate --input rows.jsonl --lang en --licence CC0-1.0 --output run
rows_balance translate
manifest translate "m['rows_out'] == 2"
zstdcat run/stages/translate/records-*.zst >out.jsonl
python3 - <<'PYTHON' || fail "a protected span changed"
import json
rows = [json.loads(line) for line in open("out.jsonl")]
text = rows[0]["messages"][1]["content"]
assert all(r["lang"] == "it" for r in rows), rows
for span in ["`len(x)`", "```python\ndef f(x):\n    return len(x)  # the length\n```", "https://example.org/docs?a=1", "{name}", "%s", "3.14"]:
    assert span in text, (span, text)
assert "$A = \\pi r^2$" in rows[1]["messages"][1]["content"]
assert "circle" not in rows[1]["messages"][0]["content"]
PYTHON

# The run folder is what its translations are scored by.
printf '{"text": "The cat eats the bread."}\n' >cat.jsonl
printf 'Il gatto mangia il pane.\n' >reference.txt
expect 0 translate --input cat.jsonl --lang en --licence CC0-1.0 --output cat
expect 0 eval translation cat --ref reference.txt
says '^ +1 .* cat$'
