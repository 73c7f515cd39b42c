#!/usr/bin/env bash
# Build a store by one Slurm job: a Dask scheduler, a worker on every task, a client, and TLS.
#
#   pipelines/slurm_dask.sh RECIPE STORE [SBATCH OPTIONS]
#   pipelines/slurm_dask.sh pipelines/mistdata-train.toml /scratch/store --ntasks=64 --time=60
#
# The certificates are made for the job, beside STORE, where only you can read them, and removed.
# The job failed, was cancelled or ran out of time? The same command again goes on. Prints its number.
set -euo pipefail

if [ $# -lt 2 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
recipe=$(realpath "$1") store=$(realpath -m "$2")
shift 2
for tool in mistdata dask openssl; do
    command -v "$tool" >/dev/null || { echo "slurm_dask.sh: $tool is not on the PATH" >&2; exit 2; }
done

sbatch --parsable --job-name=mistdata-dask "$@" <<JOB
#!/usr/bin/env bash
set -euo pipefail
export PATH='$PATH'
mkdir -p '$(dirname "$store")'
work=\$(mktemp -d '$(dirname "$store")/.mistdata-dask-XXXXXX') # mode 700
trap 'kill \$(jobs -p) 2>/dev/null || true; wait || true; rm -rf "\$work"' EXIT
cd "\$work"
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=authority -keyout ca.key -out ca.pem 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj /CN=mistdata -keyout own.key -out own.csr 2>/dev/null
openssl x509 -req -days 30 -in own.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out own.pem 2>/dev/null
rm ca.key

tls=(--tls-ca-file ca.pem --tls-cert own.pem --tls-key own.key)
export DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=20
dask scheduler --protocol tls --port 0 --no-dashboard --scheduler-file scheduler.json "\${tls[@]}" &
until [ -s scheduler.json ]; do sleep 0.2; done
srun dask worker --scheduler-file scheduler.json --nthreads 1 --no-dashboard "\${tls[@]}" &
mistdata generate '$recipe' '$store' --scheduler-file scheduler.json \
    --tls-ca ca.pem --tls-cert own.pem --tls-key own.key &
client=\$!
code=0
wait -n || code=\$? # whoever ends first; it should be the client
! kill -0 \$client 2>/dev/null || { echo "the scheduler or all workers are gone" >&2; exit 3; }
exit \$code
JOB
