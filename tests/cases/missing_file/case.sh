# A missing path names its key and what to do.
cp "$CASES/source.toml" nativo.toml
expect 66 ingest -c nativo.toml
says '\[source\.mine\] path: .*rows\.jsonl: no such file'
says 'hint: .*--set source\.mine\.path'
expect 66 run -c does-not-exist.toml
says 'does-not-exist\.toml'
