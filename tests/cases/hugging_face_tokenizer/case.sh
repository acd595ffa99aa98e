# A folder with a tokenizer.json and a chat template of its own, and no tokenizer.model, through the whole
# way: training, evaluation, checkpoints, export, chat, and as a base again.
cp -r "$SOURCE"/examples/quickstart/{english,italian,eval} .
mkdir tok
python3 - "$SOURCE/tests/golden/tokenizers/chat.json" <<'PYTHON' || fail "the golden file"
import json, sys
golden = json.load(open(sys.argv[1]))
json.dump(golden["tokenizers"]["qwen2"], open("tok/tokenizer.json", "w"))
json.dump({"eos_token": "</s>", "model_max_length": 77}, open("tok/tokenizer_config.json", "w"))
open("tok/chat_template.jinja", "w").write(golden["marked"]["chatml"])
json.dump({"eos_token": {"content": "</s>"}}, open("tok/special_tokens_map.json", "w"))
PYTHON
cp "$CASES/mini.toml" nativo.toml
expect 0 run -c nativo.toml --set model.tokenizer=tok
says 'tokenizer +done +6[0-9][0-9] pieces'
for name in tokenizer.json tokenizer_config.json chat_template.jinja special_tokens_map.json; do
  cmp tok/$name run/train/model/$name || fail "$name is not the tokenizer's own"
done
[ -s run/train/model/generation_config.json ] || fail "no generation_config.json"
[ ! -e run/train/model/tokenizer.model ] || fail "a tokenizer.model came from nowhere"
ls run/train/checkpoints/*/model/tokenizer.json >/dev/null 2>&1 || ls -R run/train | grep -q tokenizer.json \
  || fail "the checkpoints have no tokenizer"

expect 0 export run --output exported --dtype f32
for name in tokenizer.json tokenizer_config.json chat_template.jinja special_tokens_map.json generation_config.json; do
  cmp run/train/model/$name exported/$name || fail "$name was not exported"
done
echo 'Ciao!' >question.txt
input=question.txt expect 0 chat exported --set sampler.max_tokens=5
input=question.txt expect 0 tokenize -m run --json
says '"tokens":'
expect 0 run -c nativo.toml --set model.base=exported --set run.dir=second --set train.max_steps=2
never_says '^base '
cmp tok/chat_template.jinja second/train/model/chat_template.jinja || fail "the base's template is lost"

# A template that is damaged, or refuses the conversations, is named before anything is trained.
echo '{{ raise_exception("only in Latin") }}' >exported/chat_template.jinja
expect 65 run -c nativo.toml --set model.base=exported --set run.dir=third
says 'digest|only in Latin'
echo '{% if %}' >tok/chat_template.jinja
expect 65 run -c nativo.toml --set model.tokenizer=tok --set run.dir=fourth
says 'chat_template.jinja'
