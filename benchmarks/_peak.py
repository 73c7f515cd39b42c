"""By how much one estimate raises the peak resident memory of a process of its own.

    python -m benchmarks._peak MODEL N DIM_X DIM_Y

prints MiB. The process has estimated once from 64 rows of as many columns before; Linux only.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from benchmarks._contenders import gaussian, open_ours

Shape = tuple[int, int, int]  # n, dim_x, dim_y


def peak_growth(model: str, shape: Shape) -> float:
    """Return the growth in MiB, measured in a process of its own.

    Args:
        model: as in `open_ours`.
        shape: of the sample.
    """
    command = [sys.executable, "-m", "benchmarks._peak", model, *(str(each) for each in shape)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def exponent(sizes: list[int], growth: list[float]) -> float:
    """Return b of growth = a size^b, fitted by least squares to the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(growth), 1)[0])


def _status(name: str) -> float:
    """Return a figure of this process in MiB; 'VmRSS' is its memory, 'VmHWM' its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) / 1024


def main() -> None:
    """Measure in this process."""
    torch.set_num_threads(1)
    estimator, _ = open_ours(sys.argv[1])
    n, dim_x, dim_y = (int(each) for each in sys.argv[2:])
    few, sample = gaussian((64, dim_x, dim_y)), gaussian((n, dim_x, dim_y))
    estimator(*few)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _status("VmRSS")
    estimator(*sample)
    print(_status("VmHWM") - before)


if __name__ == "__main__":
    main()
