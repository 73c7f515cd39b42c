"""The published implementation, mist-statinf 0.1.1, timed beside mistdata in the same run.

It gets an environment of its own. Generating imports neither torch nor Lightning, so these are
left out; everything it does import has the version it was published against. It is timed in one
process, as it runs: cold (its compiler meets each new shape) and warm (the same shapes again).
mistdata runs in one process as well, and syncs and seals what it writes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks._measure import plan_slice, seconds
from mistdata.pipeline.run import InProcess, generate

SCRIPT = Path(__file__).with_name("_rival_generate.py")
PYTHON = (3, 11)
PINS = (
    "numpy==1.26.4",
    "scipy==1.13.1",
    "pandas==1.5.3",
    "scikit-learn==1.5.2",
    "pydantic<2",
    "jax==0.4.26",
    "jaxlib==0.4.26",
    "equinox<0.11",
    "optax<0.2",
    "tensorflow-probability<0.21",
    "omegaconf",
    "pyyaml",
    "tqdm",
)
WITHOUT_DEPENDENCIES = ("benchmark-mi==0.1.3", "mist-statinf==0.1.1")


def measure(datasets: int, cache: Path | None, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Time both on the same number of datasets.

    Args:
        datasets: how many.
        cache: folder of the rival's environment, built when missing; None builds it in `folder`.
        folder: a temporary folder.
    """
    python = environment((cache or folder / "rival").resolve())
    plan = plan_slice(datasets)
    ours_before = seconds(lambda: generate(plan, folder / "before", InProcess()))
    rival = _run(python, datasets, folder / "rival-data")
    ours = [
        ours_before,
        seconds(lambda: generate(plan, folder / "after", InProcess())),
    ]
    speed = {
        "mistdata": datasets / (sum(ours) / len(ours)),
        "rival_cold": datasets / rival["cold_s"],
        "rival_warm": datasets / rival["warm_s"],
    }
    ratios = {name: speed["mistdata"] / speed[name] for name in ("rival_cold", "rival_warm")}
    document = {"datasets": datasets, "datasets_per_s": speed, "times_faster": ratios}
    return {"rival": document}, [
        f"{datasets} datasets of mist-train, one process each",
        f"  mistdata                 {speed['mistdata']:>8,.0f} datasets/s, synced and sealed",
        *(
            f"  mist-statinf 0.1.1 {name[6:]:<6}{speed[name]:>8,.1f} datasets/s:"
            f" mistdata is {ratios[name]:,.1f} times as fast"
            for name in ratios
        ),
    ]


def environment(folder: Path) -> Path:
    """Build the rivals' environment in a folder, unless it is there; return its interpreter."""
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        _require_python()
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, *PINS], check=True)
        subprocess.run([*install, "--no-deps", *WITHOUT_DEPENDENCIES], check=True)
        ready.touch()
    return python


def _require_python() -> None:
    if sys.version_info[:2] != PYTHON:
        raise RuntimeError("the rival's versions need Python 3.11; run the benchmark with it")


def _run(python: Path, datasets: int, folder: Path) -> dict[str, float]:
    done = subprocess.run(
        [str(python), str(SCRIPT), str(datasets), str(folder)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TQDM_DISABLE": "1"},
    )
    return json.loads(done.stdout.splitlines()[-1])
