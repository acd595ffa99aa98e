#!/usr/bin/env bash
# Written by `nativo slurm script`. Makes what comes before the stage translate, up to the step dedup_sources.
#SBATCH --job-name=nativo-italian-dedup_sources
#SBATCH --nodes=1
#SBATCH --ntasks=1
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
exec >>"$run/launch/dedup_sources.log" 2>&1

# slurm.setup
module load openmpi

exec apptainer exec --nv /images/nativo.sif "$nativo" dedup_sources -c "$config"
