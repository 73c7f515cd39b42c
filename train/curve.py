"""The curve of a fit, from its `metrics.jsonl`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure


def read_metrics(out: Path) -> list[dict[str, Any]]:
    """The figures of every step, from `metrics.jsonl` in the folder of a fit."""
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def draw_curve(out: Path) -> None:
    """Write `curve.png`: the loss of every step and its running mean, over the datasets seen.

    Args:
        out: folder of the fit, with `metrics.jsonl`.
    """
    lines = read_metrics(out)
    loss = np.array([line["loss"] for line in lines])
    seen = np.array([line["datasets"] for line in lines])
    window = max(1, len(loss) // 50)
    smooth = np.convolve(loss, np.ones(window) / window, mode="valid")
    figure = Figure(figsize=(7, 4), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(seen, loss, color="0.8", linewidth=0.6, label="one step")
    axes.plot(seen[window - 1 :], smooth, color="C0", label=f"mean of {window} steps")
    axes.set_yscale("log")
    axes.set_xlabel("datasets seen")
    axes.set_ylabel("pinball loss on the stabilised scale")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(out / "curve.png")
