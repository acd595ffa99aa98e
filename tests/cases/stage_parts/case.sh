# A stage whose blocks three processes make, at once and not all of them, has the bytes that one makes.
cp -r "$SOURCE"/examples/quickstart/{english,italian,eval} .
cp "$CASES/mini.toml" nativo.toml
blocks="--set translate.block_rows=8"
expect 0 translate -c nativo.toml $blocks
mv run whole
expect 66 translate -c nativo.toml $blocks --part 0/3
says 'the step ingest is not done'
expect 0 tokenizer -c nativo.toml $blocks
expect 0 dedup_sources -c nativo.toml $blocks
"$NATIVO" translate -c nativo.toml $blocks --part 0/3 2>part0.txt &
first=$!
expect 0 translate -c nativo.toml $blocks --part 2/3
wait $first || fail "part 0: $(cat part0.txt)"
[ ! -e run/stages/translate ] || fail "a part finished the stage"
expect 0 translate -c nativo.toml $blocks
expect 0 translate -c nativo.toml $blocks --part 1/3
says 'complete already'
for file in whole/stages/translate/*.zst; do
  cmp "$file" "run/stages/translate/$(basename "$file")" || fail "$file differs"
done
manifest translate "{k: v for k, v in m.items() if k != 'seconds'} == {k: v for k, v in json.load(open('whole/stages/translate/manifest.json')).items() if k != 'seconds'}"
expect 64 translate -c nativo.toml --part 3/3
expect 64 translate -c nativo.toml --part x
