# The whole way in small: every stage balances, a second run reuses all, a changed option replays only
# what depends on it.
cp -r "$SOURCE"/examples/quickstart/{english,italian,eval} .
cp "$CASES/mini.toml" nativo.toml
expect 0 plan -c nativo.toml
says 'ingest +run +never ran'
says 'train +run +when'
expect 0 run -c nativo.toml
for stage in ingest dedup_sources translate filter dedup mix; do rows_balance $stage; done
rejects dedup_sources exact_duplicate 2
manifest dedup_sources "m['rejects']['near_duplicate'] >= 4"
[ -s run/report.html ] || fail "no report"
[ -s run/eval/comparison.json ] || fail "no comparison"
[ -s run/train/model/model.safetensors ] || fail "no model"
grep -q 'http' run/report.html && ! grep -Eq '(src|href)="?https?:' run/report.html || fail "the report is not self-contained"

# Forgetting is measured; what explain-batch shows is what was trained on.
grep -q '"base_eval_loss":' run/train/metrics.jsonl || fail "no gauge of forgetting"
for training in train base; do
  expect 0 explain-batch -c nativo.toml --training $training --step 2 --json
  batch=$(grep -o '"batch":"[0-9a-f]*"' stdout.txt)
  grep '"step":2,' run/$training/metrics.jsonl | grep -qF "$batch" || fail "another batch than that of $training"
done
expect 0 explain-batch -c nativo.toml --step 2
says '<s>⟦'

before=$(sha256sum run/train/model/model.safetensors run/stages/*/records-*.zst)
expect 0 run -c nativo.toml
for step in ingest tokenizer dedup_sources translate filter dedup mix base train eval; do says "$step +reused"; done
[ "$before" = "$(sha256sum run/train/model/model.safetensors run/stages/*/records-*.zst)" ] || fail "reuse changed files"

expect 0 plan -c nativo.toml --set mix.heldout_share=0.2
says 'dedup +reuse'
says 'mix +run +mix\.heldout_share'

# The same from nothing gives the same bytes, on one thread too.
mv run first
expect 0 run -c nativo.toml --set run.threads=1
cmp first/train/model/model.safetensors run/train/model/model.safetensors || fail "not deterministic"
for stage in ingest dedup_sources translate filter dedup mix; do
  cmp first/stages/$stage/records-00000.jsonl.zst run/stages/$stage/records-00000.jsonl.zst || fail "$stage is not deterministic"
done

# The model goes out and comes back; chat answers from a pipe.
expect 0 export run --output exported --dtype f32
[ -s exported/model.safetensors ] && [ -s exported/tokenizer.model ] || fail "export is incomplete"
echo 'Ciao!' | "$NATIVO" chat exported --set sampler.max_tokens=5 >stdout.txt 2>stderr.txt || fail "chat failed"

# What was exported is a base like any other: no base step, its own tokenizer.
expect 0 run -c nativo.toml --set model.base=exported --set run.dir=second --set train.max_steps=2
never_says '^base '
says 'tokenizer +done +1200 pieces'
cmp exported/tokenizer.model second/train/model/tokenizer.model || fail "not the base's tokenizer"
expect 66 run -c nativo.toml --set model.base=nowhere --set run.dir=third
says 'nowhere'
