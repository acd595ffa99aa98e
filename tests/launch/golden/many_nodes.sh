#!/usr/bin/env bash
# Written by `nativo slurm script`. This process becomes the supervisor: it starts the ranks
# with srun, watches them and starts them again. Follow it with `nativo status`, `nativo
# logs -f` and `nativo stop`.
#SBATCH --job-name=nativo-italian
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --partition=gpu
#SBATCH --account=nlp-42
#SBATCH --constraint=h100&ib
#SBATCH --time=1-12:00:00
#SBATCH --mem=0
#SBATCH --cpus-per-task=16
#SBATCH --requeue
#SBATCH --no-kill
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
#SBATCH --output=/dev/null
#SBATCH --reservation=training

set -euo pipefail
nativo=/opt/nativo/bin/nativo
run=/lustre/runs/italian
config=/lustre/runs/italian/launch/nativo.toml

mkdir -p "$run/launch"
exec >>"$run/launch/supervisor.log" 2>&1

# slurm.setup
module load openmpi

exec "$nativo" slurm supervise -c "$config" --verb run
