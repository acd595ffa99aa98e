#!/usr/bin/env bash
# Written by `nativo slurm script`. Each task of this array makes the blocks of the stage
# translate whose number is its own modulo 8.
#SBATCH --job-name=nativo-italian-translate
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --array=0-7
#SBATCH --partition=gpu
#SBATCH --account=nlp-42
#SBATCH --constraint=h100&ib
#SBATCH --time=1-12:00:00
#SBATCH --mem=0
#SBATCH --cpus-per-task=16
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=/dev/null
#SBATCH --reservation=training

set -euo pipefail
nativo=/opt/nativo/bin/nativo
run=/lustre/runs/italian
config=/lustre/runs/italian/launch/nativo.toml

mkdir -p "$run/launch"
exec >>"$run/launch/translate-${SLURM_ARRAY_TASK_ID}.log" 2>&1

# slurm.setup
module load openmpi

exec apptainer exec --nv /images/nativo.sif "$nativo" translate -c "$config" --part "$SLURM_ARRAY_TASK_ID/8"
