#!/usr/bin/env bash
# Build the wheel, install it alone in a new environment, and use it from an empty folder.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$root"
python -m build --outdir "$work/dist" . >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
check-wheel-contents "$work"/dist/*.whl

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q -c "$root/constraints.txt" "$work"/dist/*.whl
mkdir "$work/empty"
cd "$work/empty"
export PATH="$work/venv/bin:$PATH"

mistdata --version
mistdata families >/dev/null
mistdata generate "$root/tests/data/small.toml" store --in-process
mistdata verify store
python - <<'PYTHON'
import mistdata

ds = mistdata.open("store")
assert len(ds.where("family = 'gaussian-lvm'")[0].x) >= 50
assert len(ds.read(range(len(ds))).values) > 0
PYTHON
# Without its extra, Dask is asked for by name.
if message=$(mistdata generate "$root/tests/data/small.toml" other 2>&1); then
  echo "expected a failure without the extra"; exit 1
fi
grep -q 'mistdata\[cluster\]' <<<"$message"
if message=$(mistdata inspect s3://bucket/store 2>&1); then
  echo "expected a failure without the extra"; exit 1
fi
grep -q 'mistdata\[remote\]' <<<"$message"
# The weights are in the wheel; without its extra, the estimator is asked for by name.
python -m zipfile -l "$work"/dist/*.whl | grep -q 'mistdata/estimator/weights/small.safetensors'
printf 'a,b\n1,2\n2,1\n' >table.csv
if message=$(mistdata estimate table.csv --x a --y b 2>&1); then
  echo "expected a failure without the extra"; exit 1
fi
grep -q 'mistdata\[estimator\]' <<<"$message"
echo "wheel: installs alone and works from an empty folder"
