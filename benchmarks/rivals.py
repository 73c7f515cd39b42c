"""Neural estimators of the package benchmark-mi, for `mistdata benchmark`.

    python -m benchmarks.rivals FOLDER            build their environment, once
    MISTDATA_RIVALS=FOLDER mistdata benchmark benchmarks.rivals:mine STORE --limit 50

They need an old NumPy and JAX, so they run in an environment of their own: one long-lived process
of its interpreter per worker, asked over pipes. It ends when the worker does.

Half of the rows train the critic, the other half gives the estimate. The package's batch of 256
returns NaN where fewer rows train, below n = 512; the batch here is min(256, ⌊n/2⌋), at most all
rows that train. Everything else is the package's default; the estimate is the best value that the
held-out half had during training.

References:
    Mutual information neural estimation (Belghazi et al., 2018); https://arxiv.org/abs/1801.04062
    Representation learning with contrastive predictive coding (van den Oord, Li, Vinyals, 2018);
    https://arxiv.org/abs/1807.03748
    Estimating divergence functionals (Nguyen, Wainwright, Jordan, 2010);
    https://doi.org/10.1109/TIT.2010.2068870
    Beyond normal (Czyż et al., 2023), for the implementation; https://arxiv.org/abs/2306.11078
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mistdata.errors import MistdataError

__version__ = "benchmark-mi 0.1.3, adapter 1"
VARIABLE = "MISTDATA_RIVALS"
_SCRIPT = Path(__file__).with_name("_rival_estimate.py")
_ONE_THREAD = {
    "JAX_PLATFORMS": "cpu",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


def mine(
    x: np.ndarray,
    y: np.ndarray,
    *,
    batch_size: int | None = None,
    max_n_steps: int | None = None,
    learning_rate: float | None = None,
) -> float:
    """MINE, the Donsker-Varadhan bound with a moving average in its gradient.

    Args:
        x: (n, dim_x).
        y: (n, dim_y).
        batch_size: rows of a step, at most ⌊n/2⌋; 256 unless given.
        max_n_steps: of training; the package's default unless given.
        learning_rate: likewise.

    Returns:
        The estimate in nats.
    """
    return _ask("mine", x, y, batch_size, max_n_steps, learning_rate)


def infonce(
    x: np.ndarray,
    y: np.ndarray,
    *,
    batch_size: int | None = None,
    max_n_steps: int | None = None,
    learning_rate: float | None = None,
) -> float:
    """InfoNCE, which cannot exceed the logarithm of the number of held-out rows; see `mine`."""
    return _ask("infonce", x, y, batch_size, max_n_steps, learning_rate)


def nwj(
    x: np.ndarray,
    y: np.ndarray,
    *,
    batch_size: int | None = None,
    max_n_steps: int | None = None,
    learning_rate: float | None = None,
) -> float:
    """NWJ, the bound of Nguyen, Wainwright and Jordan; see `mine`."""
    return _ask("nwj", x, y, batch_size, max_n_steps, learning_rate)


def _ask(
    name: str,
    x: np.ndarray,
    y: np.ndarray,
    batch_size: int | None,
    max_n_steps: int | None,
    learning_rate: float | None,
) -> float:
    given = {
        "batch_size": batch_size,
        "max_n_steps": max_n_steps,
        "learning_rate": learning_rate,
    }
    options = {key: value for key, value in given.items() if value is not None}
    try:
        answer = _process().ask(name, x, y, options)
    except (BrokenPipeError, EOFError):
        _process.cache_clear()
        raise RuntimeError("the rival's process died; the next dataset starts another") from None
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return float(answer["estimate"])


class _Process:
    """The interpreter of the rivals' environment, waiting for requests."""

    def __init__(self, python: Path) -> None:
        self._process = subprocess.Popen(
            [str(python), str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | _ONE_THREAD,
        )
        try:
            self._answer()
        except EOFError:
            raise MistdataError(
                f"{python}: cannot import the rivals; {_recipe(python.parents[1])}"
            ) from None

    def ask(
        self, name: str, x: np.ndarray, y: np.ndarray, options: dict[str, Any]
    ) -> dict[str, Any]:
        """Send one request and wait for its answer.

        Raises:
            BrokenPipeError, EOFError: the process is dead.
        """
        request = {"estimator": name, "shapes": [x.shape, y.shape], "options": options}
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(json.dumps(request).encode() + b"\n")
        for side in (x, y):
            stdin.write(np.ascontiguousarray(side, np.float64).tobytes())
        stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            raise EOFError
        return json.loads(line)


@lru_cache(maxsize=1)
def _process() -> _Process:
    folder = os.environ.get(VARIABLE)
    if not folder:
        raise MistdataError(f"{VARIABLE} is not set; {_recipe(Path('FOLDER'))}")
    python = Path(folder).resolve() / "bin" / "python"
    if not python.exists():
        raise MistdataError(f"{python}: not there; {_recipe(Path(folder))}")
    return _Process(python)


def _recipe(folder: Path) -> str:
    return f"`python -m benchmarks.rivals {folder}` builds their environment"


def main() -> None:
    """Build the environment in the folder that the command line names."""
    from benchmarks._rival import environment

    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m benchmarks.rivals FOLDER")
    environment(Path(sys.argv[1]).resolve())
    print(f"export {VARIABLE}={Path(sys.argv[1]).resolve()}")


if __name__ == "__main__":
    main()
