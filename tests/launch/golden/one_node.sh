#!/usr/bin/env bash
# Written by `nativo slurm script`. This process becomes the supervisor: it starts the ranks
# with srun, watches them and starts them again. Follow it with `nativo status`, `nativo
# logs -f` and `nativo stop`.
#SBATCH --job-name=nativo-italian
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
#SBATCH --output=/dev/null

set -euo pipefail
nativo=/opt/nativo/bin/nativo
run=/lustre/runs/italian
config=/lustre/runs/italian/launch/nativo.toml

mkdir -p "$run/launch"
exec >>"$run/launch/supervisor.log" 2>&1

exec "$nativo" slurm supervise -c "$config" --verb run
