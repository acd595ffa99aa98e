# The whole ladder in one run: greedy and beam search of an Argos package, then a language model behind a
# server that misbehaves in a dozen ways before it answers, then the rejects. The lineage tells every step.
export OMP_NUM_THREADS=1  # the models are tiny
python3 -u server.py >port.txt 2>server.txt &
server=$!
trap 'kill $server 2>/dev/null; chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT
for _ in $(seq 100); do [ -s port.txt ] && break; sleep 0.1; done
cat >rows.jsonl <<'ROWS'
{"text": "Photosynthesis turns light into sugar."}
{"text": "Don't forget to buy bread, milk and cheese."}
{"text": "Hello world"}
{"text": "Where is the nearest station?"}
ROWS
printf '{"text": "Water boils at 100 degrees; ice melts at 0."}\n' >hard.jsonl
sed -e "s#PACKAGE#$SOURCE/tests/golden/argos/translate-en_it-1_0#" -e "s#PORT#$(cat port.txt)#" ladder.toml >nativo.toml

expect 0 plan -c nativo.toml
says 'when ingest has run: nativo ingest -c FILE'
expect 0 ingest -c nativo.toml
expect 0 plan -c nativo.toml --set translate.dedup_sources=true
says '^argos:greedy +4 '
says 'counted before dedup_sources'
expect 0 plan -c nativo.toml
says '^argos:greedy +4 +[0-9]+ +[0-9]+ *$'
says '^argos:beam +0 +0 +0 *$'
says '^llm +1 +[0-9]+ +[0-9]+ +source 1$'
says 'no tokenizer is configured yet'
expect 0 tokenizer -c nativo.toml
expect 0 plan -c nativo.toml
says 'counted by run/tokenizer'

expect 0 translate -c nativo.toml
rows_balance translate
manifest translate "m['detail']['rows_by_step'] == {'argos:greedy': 1, 'argos:beam': 1, 'llm': 2}"
manifest translate "m['rejects'] == {'engine_failed': 1}"
zstdcat run/stages/translate/records-*.zst >out.jsonl
zstdcat run/stages/translate/rejects-*.zst >rejects.jsonl
python3 - <<'PYTHON' || fail "the lineage, or the translations"
import json

def path(row):
    entry = row["lineage"][-1]
    assert entry["stage"] == "translate", entry
    return entry["step"], [(f["step"], f["rule"]) for f in entry.get("failures", [])], entry

rows = [json.loads(line) for line in open("out.jsonl")]
assert [row["lang"] for row in rows] == ["it"] * 4, rows
hard, greedy, beam, hello = rows
assert path(greedy)[:2] == ("argos:greedy", []), greedy
assert greedy["text"] == "un to"  # what Argos Translate's own program says
assert path(beam)[:2] == ("argos:beam", [("argos:greedy", "engine_failed")]), beam
assert beam["text"] == "The can"
assert path(hello)[:2] == ("llm", [("argos:greedy", "engine_failed"), ("argos:beam", "protected_span_added")]), hello
assert hello["text"] == "[HELLO WORLD]"
assert path(hard)[:2] == ("llm", []), hard
assert hard["text"] == "[WATER BOILS AT 100 DEGREES; ICE MELTS AT 0.]"  # its first answer lost the numbers
assert path(hard)[2]["route"] == {"to": "llm", "why": "source"}
(reject,) = [json.loads(line) for line in open("rejects.jsonl")]
assert reject["text"] == "Where is the nearest station?"
assert reject["reject"]["rule"] == "engine_failed" and "I'm sorry" in reject["reject"]["value"], reject
assert path(reject)[:2] == ("llm", [(step, "engine_failed") for step in ("argos:greedy", "argos:beam", "llm")])
PYTHON
says 'language model: [0-9]+ questions answered'
for way in reset silence drip 429 500 html half_json no_choices bad_utf8 bad_gzip bad_chunks short; do
  grep -q "misbehaved: $way$" server.txt || fail "the server never did: $way"
done

# Thrown away and made again from the cache alone: the same bytes, and nobody is asked.
kill $server
cp -r run/stages/translate whole
rm -r run/stages/translate run/translation-memory
expect 0 translate -c nativo.toml
for file in whole/*.zst; do
  cmp "$file" "run/stages/translate/$(basename "$file")" || fail "$file differs"
done
