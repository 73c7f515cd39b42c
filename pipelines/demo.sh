#!/usr/bin/env bash
# The main job on real input: generate a store, verify it, look into it, train on it, draw.
# Usage: [MINUTES=2] pipelines/demo.sh [FOLDER]      (run it through `make demo`)
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-demo}
store=$folder/quickstart
fit=$folder/fit
mkdir -p "$folder"

minutes=${MINUTES:-2}

say() {
    if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then printf '\n\033[1m%s\033[0m\n' "$*"
    else printf '\n%s\n' "$*"; fi
}

say "1  Generate 5,000 datasets with known mutual information"
mistdata generate pipelines/quickstart.toml "$store"

say "2  Verify every byte"
mistdata verify "$store"

say "3  Look into the store"
mistdata inspect "$store"

say "4  Fit a small estimator for $minutes minutes"
resume=()
if [ -e "$fit/state.safetensors" ]; then resume=(--resume); fi
python -m train.fit --store "$store" --out "$fit" --config small --minutes "$minutes" "${resume[@]}"

say "5  Draw predicted quantiles against the true MI"
python -m train.picture --store "$store" --checkpoint "$fit" --out "$folder/quantiles.png"

say "6  Ask the shipped estimator about a sample whose information is known"
mistdata sample pipelines/bmi-40.toml --component student-identity-2-2-1 \
    --csv "$folder/data.csv" --png "$folder/sample.png"
mistdata estimate "$folder/data.csv" --x x1,x2 --y y1,y2

say "Done"
cat <<END
  store     $store      (Zarr + Parquet; mistdata.open("$store"))
  estimator $fit
  picture   $folder/quantiles.png

Try next (after: source .venv/bin/activate):
  mistdata families                                     what can be sampled
  mistdata generate pipelines/mist-test.toml TEST       the published test grids, regenerated
  mistdata generate pipelines/mist-train.toml TRAIN     625,000 datasets, 21.7 GB
  python -m train.fit --store $store --out $fit-long --minutes 20     a longer fit
END
