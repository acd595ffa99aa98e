# An unknown key is refused with its place and the nearest name.
cp "$CASES/source.toml" nativo.toml
printf '[train]\nseq_lne = 256\n' >>nativo.toml
expect 78 ingest -c nativo.toml
says 'nativo\.toml:9:1: unknown key "seq_lne" in \[train\]; did you mean "seq_len"\?'
expect 78 ingest -c "$CASES/source.toml" --set train.seq_lne=1
says '--set train\.seq_lne=1: unknown key'
