"""Time the rival's own generator; runs inside the rival's environment, imports none of ours.

    python _rival_generate.py DATASETS FOLDER

Prints one line of JSON: the seconds of a first pass and of a second pass over the same shapes.
"""

from __future__ import annotations

import importlib.util
import json
import random
import sys
import time
import types
from pathlib import Path

COMPONENTS = (
    "multi_normal-dense-base",
    "multi_normal-dense-halfcube",
    "multi_normal-dense-asinh",
    "multi_normal-sparse-wigglify",
    "multi_normal-sparse-base",
    "multi_normal-lvm-wigglify",
    "multi_normal-lvm-base",
    "multi_normal-2pair-base",
    "multi_student-dense-base",
    "multi_student-dense-wigglify",
    "multi_student-sparse-halfcube",
    "multi_student-sparse-base",
    "multi_student-sparse-asinh",
    "multi_student-2pair-asinh",
    "multi_student-2pair-halfcube",
    "multi_additive_noise-wigglify",
)
SEED = 123


def import_generator() -> type:
    """Import the generator without the package's own __init__, which imports the training code."""
    name = "mist_statinf"
    spec = importlib.util.find_spec(name)
    assert spec is not None
    package = types.ModuleType(name)
    package.__path__ = list(spec.submodule_search_locations or ())
    sys.modules[name] = package
    from mist_statinf.data.meta_dataset import MIRegressionGenerator

    return MIRegressionGenerator


def one_pass(generator: type, datasets: int, folder: Path) -> float:
    """Generate once, from the same seeds, and return the seconds."""
    import numpy as np

    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002 - the rival draws from the global generator
    started = time.perf_counter()
    generator(datasets, (10, 500), COMPONENTS, "2-32", str(folder)).generate()
    return time.perf_counter() - started


def main() -> None:
    """Time both passes."""
    datasets, folder = int(sys.argv[1]), Path(sys.argv[2])
    generator = import_generator()
    took = {name: one_pass(generator, datasets, folder) for name in ("cold_s", "warm_s")}
    print(json.dumps(took))


if __name__ == "__main__":
    main()
