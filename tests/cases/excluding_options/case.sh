# Options that exclude each other are told before anything is begun.
cp "$CASES/source.toml" nativo.toml
echo '{"text": "Una riga di prova."}' >rows.jsonl
expect 78 run -c nativo.toml --set train.optimizer_in_backward=true
says 'train\.optimizer_in_backward: the norm of a gradient'
expect 78 plan -c nativo.toml --set 'train.offload=["optimizer"]'
says "train\.offload: the CPU's memory is the host's"
[ ! -e run/stages ] || fail "something was begun"
several='train.optimizer_in_backward=true train.clip_norm=0 train.batch_tokens=1024 slurm.nodes=2'
expect 78 slurm script -c nativo.toml $(printf -- '--set %s ' $several)
says 'the gradients of several ranks are summed first'
expect 78 slurm script -c nativo.toml --set train.device=cuda --set slurm.ranks_per_node=4
says 'slurm\.gpus_per_node = 0 with slurm\.ranks_per_node = 4'
expect 0 slurm script -c nativo.toml --set train.device=cuda --set slurm.ranks_per_node=4 --set slurm.gpus_per_node=4
