# Bad TOML and wrong values name line and column.
printf '[run\ndir = 3\n' >broken.toml
expect 78 plan -c broken.toml
says 'broken\.toml:1:'
cp "$CASES/source.toml" nativo.toml
printf '[model]\nvocab_size = "many"\n' >>nativo.toml
expect 78 plan -c nativo.toml
says 'nativo\.toml:9:[0-9]+: .*vocab_size'
sed -i 's/vocab_size.*/dtype = "f64"/' nativo.toml
expect 78 plan -c nativo.toml
says 'dtype.*(f32|bf16)'
