# Where there is no Slurm, submitting says so, with the code of a missing tool, and writes nothing.
command -v sbatch >/dev/null && exit 77
cp "$CASES/source.toml" nativo.toml
printf '[slurm]\nnodes = 2\n' >>nativo.toml
before=$(ls -A | grep -v '^std')
for stage in '' '--stage filter'; do
  expect 66 slurm submit -c nativo.toml --set run.dir=run $stage
  says 'sbatch: not found: this machine has no Slurm'
  [ ! -e run ] || fail "it wrote $(find run)"
  [ "$(ls -A | grep -v '^std')" = "$before" ] || fail "it wrote $(ls -A)"
done
expect 0 slurm script -c nativo.toml --set run.dir=run
