# Terminal escapes in data never reach the terminal.
cp "$CASES/source.toml" nativo.toml
printf 'esc\033[31m\n' >rows.jsonl
expect 65 ingest -c nativo.toml
! grep -q "$(printf '\033')" stderr.txt || fail "an escape character was printed"
