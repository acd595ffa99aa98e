# Lines of tokens through a translation model, held to what CTranslate2 made of the same sentences.
model=$SOURCE/tests/golden/ctranslate2/sinusoids_relu
python3 - "$model/expected.json" <<'PYTHON' || fail "the golden results"
import json, sys
runs = json.load(open(sys.argv[1]))["runs"]["float32"]
lines = lambda rows: "".join(" ".join(row) + "\n" for row in rows)
open("source.txt", "w").write(lines(runs["greedy"]["sources"]))
open("greedy.txt", "w").write(lines(result[0]["tokens"] for result in runs["greedy"]["results"]))
open("prefixes.txt", "w").write(lines(runs["prefix"]["prefixes"]))
open("prefix.txt", "w").write("".join(
    f"{i} ||| {' '.join(h['tokens'])} ||| {h['score']:.4f}\n"
    for i, result in enumerate(runs["prefix"]["results"]) for h in result))
PYTHON
# expect_from INPUT CODE ARGUMENTS...: expect, with that file as standard input.
expect_from() {
  local input=$1 want=$2 got=0
  shift 2
  "$NATIVO" "$@" >stdout.txt 2>stderr.txt <"$input" || got=$?
  [ "$got" = "$want" ] || fail "exit code $got instead of $want: nativo $*"
}
translate="translate --engine $model --pretokenized --max-length 24"
expect_from source.txt 0 $translate --beam-size 1
cmp stdout.txt greedy.txt || fail "other tokens than CTranslate2's"
expect_from source.txt 0 $translate --beam-size 1 --rows 1 --lines 1 --threads 1
cmp stdout.txt greedy.txt || fail "sentences depend on each other"
expect_from source.txt 0 $translate --beam-size 4 --num-hypotheses 2 --prefixes prefixes.txt
sed -E 's/(\.[0-9]{4})[0-9]*$/\1/' stdout.txt | cut -d'|' -f1-6 >ours.txt
cut -d'|' -f1-6 prefix.txt | cmp - ours.txt || fail "other hypotheses than CTranslate2's"
printf 's1 s2\r\ns1 s2' >ends.txt
expect_from ends.txt 0 $translate
[ "$(uniq stdout.txt | wc -l)" = 1 ] && [ "$(wc -l <stdout.txt)" = 2 ] || fail "line ends"
expect_from /dev/null 0 $translate
[ ! -s stdout.txt ] || fail "output of nothing"

expect_from /dev/null 64 translate --engine "$model"
says 'needs --pretokenized'
expect_from /dev/null 64 $translate --beam-size 0
expect_from /dev/null 78 $translate --beam-size 1 --num-hypotheses 2
says 'num_hypotheses = 2 of a beam_size of 1'
expect_from /dev/null 66 translate --engine "$SOURCE" --pretokenized
says 'no model.bin'
expect_from source.txt 66 $translate --prefixes none.txt
head -3 prefixes.txt >short.txt
expect_from source.txt 65 $translate --prefixes short.txt
says 'short.txt: ends after line 3'
cp -r "$model" damaged
truncate -s -1 damaged/model.bin
expect_from source.txt 65 translate --engine damaged --pretokenized
says 'the file ends inside'
