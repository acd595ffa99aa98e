# What one run translated another does not ask for again, and gets the same records.
command -v apertium >/dev/null || exit 77
cat >rows.jsonl <<'ROWS'
{"question": "What is the longest river in Italy?", "answer": "The longest river in Italy is the Po."}
{"question": "What is the longest river in Italy?", "answer": "The longest river in Italy is the Po!"}
{"question": "Which animal says meow?", "answer": "The cat says meow, and the dog barks."}
ROWS
translate="translate --input rows.jsonl --lang en --licence CC0-1.0 --set translate.memory=memory"
expect 0 $translate --output first
says '[1-9][0-9]* segments asked for'
[ "$(ls memory/*.log | wc -l)" = 1 ] || fail "one writer, one file"
cp -r memory before
expect 0 $translate --output second
says ' 0 segments asked for, [1-9]'
cmp first/stages/translate/records-00000.jsonl.zst second/stages/translate/records-00000.jsonl.zst || fail "another translation"
diff -r memory before || fail "nothing new, but something was written"

# A torn tail and damage cost an answer, not the run.
file=$(ls memory/*.log)
head -c -20 "$file" >torn && mv torn "$file"
sed -i '1s/"text":"./"text":"#/' "$file"
expect 0 $translate --output third
says ' [1-9] segments asked for, [1-9]'
cmp first/stages/translate/records-00000.jsonl.zst third/stages/translate/records-00000.jsonl.zst || fail "damage was translated"
