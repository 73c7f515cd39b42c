#!/usr/bin/env bash
# Build a store by a Slurm job array: JOBS tasks fill a part each, a last job seals it.
#
#   pipelines/slurm.sh RECIPE STORE JOBS [SBATCH OPTIONS]
#   pipelines/slurm.sh pipelines/mistdata-train.toml /scratch/store 64 --cpus-per-task=8 --time=60
#
# A task that failed, was cancelled or ran out of time? The same command again goes on: what is
# durable is left alone. Prints the numbers of the array and of the job that seals.
set -euo pipefail

if [ $# -lt 3 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
recipe=$(realpath "$1") store=$(realpath -m "$2") jobs=$3
shift 3
mistdata=$(command -v mistdata) || { echo "slurm.sh: mistdata is not on the PATH" >&2; exit 2; }

fill="'$mistdata' generate '$recipe' '$store' --part \$SLURM_ARRAY_TASK_ID/$jobs"
# Without core binding a task sees all cores of its node: it takes those that it asked for.
fill+=" --workers \${SLURM_CPUS_PER_TASK:-1}"
array=$(sbatch --parsable --job-name=mistdata-fill --array="0-$((jobs - 1))" "$@" --wrap "$fill")
seal=$(sbatch "$@" --parsable --job-name=mistdata-seal --dependency="afterok:$array" \
    --kill-on-invalid-dep=yes --ntasks=1 --cpus-per-task=1 --wrap "'$mistdata' seal '$store'")
echo "$array $seal"
