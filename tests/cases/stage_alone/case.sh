# filter, dedup and mix alone on a file: the same stages as in a run, in a folder of their own.
cp "$SOURCE"/examples/quickstart/italian/*.jsonl .
expect 0 filter --input scraped.jsonl --lang it --licence CC0-1.0 --output run
rows_balance filter
rejects filter language 4
mv run filtered
cat passages-b.jsonl scraped.jsonl >all.jsonl
expect 0 dedup --input all.jsonl --lang it --licence CC0-1.0 --output run
rows_balance dedup
rejects dedup exact_duplicate 2
manifest dedup "m['rejects']['near_duplicate'] >= 4"
expect 0 mix --input all.jsonl --lang it --licence CC0-1.0 --output run --set mix.heldout_share=0.1
rows_balance mix
manifest mix "m['outputs']['heldout'] > 0 and m['outputs']['records'] > 80"
expect 64 dedup --input all.jsonl
says 'needs --output'
expect 66 dedup --input nothing.jsonl --lang it --licence x --output other
