# A package is fetched from a server, locked, and translates in the pipeline; a changed one is refused.
export OMP_NUM_THREADS=1  # the models are tiny
mkdir site
python3 - "$SOURCE/tests/golden/argos/translate-en_it-1_0" <<'PYTHON' || fail "the site"
import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
with zipfile.ZipFile("site/en_it.argosmodel", "w", zipfile.ZIP_DEFLATED) as out:
    for file in sorted(folder.rglob("*")):
        out.write(file, pathlib.Path(folder.name) / file.relative_to(folder))
    out.writestr(folder.name + "/stanza/en.pt", "a pickle")
PYTHON
python3 -u - >port.txt 2>server.txt <<'PYTHON' &
import functools, http.server
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="site")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print(server.server_address[1], flush=True)
server.serve_forever()
PYTHON
server=$!
trap 'kill $server 2>/dev/null; chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT
for _ in $(seq 100); do [ -s port.txt ] && break; sleep 0.1; done
url=http://127.0.0.1:$(cat port.txt)
cat >site/index.json <<INDEX
[{"from_code": "en", "to_code": "it", "package_version": "1.0", "links": ["$url/en_it.argosmodel"]},
 {"from_code": "it", "to_code": "de", "package_version": "1.0", "links": ["$url/none"]}]
INDEX
package=packages/translate-en_it-1_0.argosmodel
expect 0 fetch argos:en-it -o packages --index "$url/index.json"
says "$package"
[ -s $package.lock.json ] || fail "no lock file"
expect 66 fetch argos:en-de -o packages --index "$url/index.json"
says 'nativo fetch argos:en-it argos:it-de'
expect 64 fetch en-it

printf '{"text": "The cat sleeps on the chair."}\n{"text": "Hello world"}\n' >rows.jsonl
translate="translate --input rows.jsonl --lang en --licence CC0-1.0 --set translate.engine=argos"
expect 0 $translate --output run --set translate.argos.package=packages --set translate.argos.compute=f32
rows_balance translate
manifest translate "m['detail']['engine'] == 'argos' and m['detail']['version'].startswith('en_it 1.0, beam 4, f32, ')"
zstdcat run/stages/translate/records-*.zst run/stages/translate/rejects-*.zst 2>/dev/null >all.jsonl
python3 - "$SOURCE/tests/golden/argos/expected.json" <<'PYTHON' || fail "other translations than Argos's"
import json, sys
golden = json.load(open(sys.argv[1]))
wanted = dict(zip(golden["sentences"], golden["runs"]["translate-en_it-1_0"]["float32 4"]))
for line in open("all.jsonl"):
    row = json.loads(line)
    if "reject" not in row:
        assert row["text"] in [text and text.strip() for text in wanted.values()], row
PYTHON
ls packages/*unpacked*/stanza 2>/dev/null && fail "a pickle was unpacked"
expect 0 $translate --output again --set translate.argos.package="$SOURCE/tests/golden/argos/translate-en_it-1_0"
sed -i 's/"sha256": "./"sha256": "x/' $package.lock.json
expect 65 $translate --output third --set translate.argos.package=packages
says 'is not the file that was fetched'
expect 78 $translate --output fourth
says 'nativo fetch argos:en-it'
