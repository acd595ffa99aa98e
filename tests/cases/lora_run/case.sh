# Training adapters instead of all weights: the run's model holds them merged, the adapter lies beside it
# in PEFT's form, and merging it into the base by hand gives the same bytes.
cp -r "$SOURCE"/examples/quickstart/{english,italian,eval} .
cp "$CASES/mini.toml" nativo.toml
expect 0 run -c nativo.toml --set train.method=lora --set lora.rank=4 --set lora.dropout=0.05 --set train.lr=1e-2
says 'M of adapters trained'
for file in adapter_config.json adapter_model.safetensors nativo.digests.json; do
  [ -s run/train/adapter/$file ] || fail "no $file"
done
grep -q '"r": 4' run/train/adapter/adapter_config.json || fail "another rank"
last=$(ls -d run/train/checkpoints/step-* | tail -1)
[ -s "$last/adapter_model.safetensors" ] && [ ! -e "$last/model.safetensors" ] || fail "the checkpoint is not an adapter"
! cmp -s run/base/model/model.safetensors run/train/model/model.safetensors || fail "nothing was learnt"

expect 0 export run/base/model --adapter run/train/adapter --output merged
cmp merged/model.safetensors run/train/model/model.safetensors || fail "merged by hand is not what the run merged"
printf x >>run/train/adapter/adapter_model.safetensors
expect 65 export run/base/model --adapter run/train/adapter --output again
says 'SHA-256'

# The table counts only when it is used; a changed rank replays the training alone.
expect 0 plan -c nativo.toml --set train.method=lora --set lora.rank=8 --set lora.dropout=0.05 --set train.lr=1e-2
says 'base +reuse'
says 'train +run +lora\.rank'

expect 0 run -c nativo.toml --set train.method=qlora-nf4 --set lora.double_quant=true --set lora.rank=2
says 'M of adapters trained'
says 'base +reused'

expect 78 run -c nativo.toml --set train.method=lora --set 'lora.targets=["q_prj"]' --set run.dir=bad
says 'did you mean "q_proj"'
expect 78 run -c nativo.toml --set base.method=lora --set run.dir=bad
says 'no base'
