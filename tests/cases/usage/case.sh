# Wrong command lines.
expect 64
expect 64 runn
expect 64 run
expect 64 filter --input x.jsonl
expect 0 --help
says 'Exit codes'
expect 0 --version
for verb in run plan ingest tokenizer translate filter dedup mix base train eval report score chat export doctor options; do
  expect 0 $verb --help
  says "$verb|-h"
done
expect 0 doctor
says 'processor'
expect 0 options train
says 'train\.lr'
"$NATIVO" options --markdown | cmp - "$SOURCE/docs/options.md" || fail "docs/options.md is out of date: nativo options --markdown"
